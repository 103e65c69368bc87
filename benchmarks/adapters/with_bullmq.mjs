// BullMQ on node with ioredis: 100 at once, no retries limit on a worker's connection, completed jobs kept 1 h.
// Speaks as wire.py says. Its packages lie in the folder BENCH_PACKAGES.
import { createHmac } from "node:crypto";
import { openSync, writeSync } from "node:fs";
import { createRequire } from "node:module";
import { createInterface } from "node:readline";

const packages = createRequire(process.env.BENCH_PACKAGES + "/");
const { Queue, QueueEvents, Worker } = packages("bullmq");
const CALLERS = 32, CHUNK = 1000, WARM = 10, PAUSE_MS = 20;
const url = new URL(process.env.BENCH_URL);
const connection = { host: url.hostname, port: Number(url.port), maxRetriesPerRequest: null };
const slots = Number(process.env.BENCH_SLOTS ?? 100);
const keep = { removeOnComplete: { age: 3600 } };

const tasks = {
  noop: async (fd) => { writeSync(fd, "."); return 1; },
  stamp: async () => process.hrtime.bigint().toString(),
  hook: async (_, [to, body]) => {
    const signature = createHmac("sha256", "a secret of the bench's, 32 byte").update(body).digest("hex");
    const headers = { "content-type": "application/json", "webhook-signature": signature };
    const answer = await fetch(to, { method: "POST", body, headers });
    await answer.text();
    return answer.status;
  },
};

function work() {
  const fd = openSync(process.env.BENCH_COUNT, "a");
  const worker = new Worker("bench", (job) => tasks[job.name](fd, job.data), { connection, concurrency: slots });
  worker.on("error", (error) => console.error(error));
}

const cpuS = () => { const { user, system } = process.cpuUsage(); return (user + system) / 1e6; };
const nowS = () => Number(process.hrtime.bigint()) / 1e9;

async function enqueue(queue, way, { task = "noop", args = [], count, seconds, delay = 0 }) {
  const options = { ...keep, delay: delay * 1000 };
  const began = nowS(), cpu = cpuS(), ends = began + seconds;
  let done = 0, left = count;
  if (way === "many") {
    while (done < count && nowS() < ends) {
      const some = Math.min(CHUNK, count - done);
      await queue.addBulk(Array.from({ length: some }, () => ({ name: task, data: args, opts: options })));
      done += some;
    }
  } else {
    const caller = async () => {
      while (left-- > 0 && nowS() < ends) { await queue.add(task, args, options); done++; }
    };
    await Promise.all(Array.from({ length: way === "callers" ? CALLERS : 1 }, caller));
  }
  return { jobs: done, seconds: nowS() - began, cpu_s: cpuS() - cpu };
}

async function latency(queue, events, { count, seconds }) {
  const starts = [], results = [];
  let ends = 0;
  for (let number = 0; number < WARM + count; number++) {
    if (number === WARM) ends = nowS() + seconds;
    await new Promise((wake) => setTimeout(wake, Math.random() * PAUSE_MS));
    const began = process.hrtime.bigint();
    const job = await queue.add("stamp", [], keep);
    const started = BigInt(await job.waitUntilFinished(events, 30_000));
    if (number >= WARM) {
      results.push(Number(process.hrtime.bigint() - began) / 1e6);
      starts.push(Number(started - began) / 1e6);
    }
    if (starts.length && nowS() > ends) break;
  }
  return { starts, results };
}

async function converse() {
  const queue = new Queue("bench", { connection });
  const events = new QueueEvents("bench", { connection });
  await Promise.all([queue.waitUntilReady(), events.waitUntilReady()]);
  console.log(JSON.stringify({ ready: true }));
  for await (const line of createInterface({ input: process.stdin })) {
    const ask = JSON.parse(line);
    const said = ask.do === "latency" ? latency(queue, events, ask) : enqueue(queue, ask.way ?? "many", ask);
    console.log(JSON.stringify(await said));
  }
  process.exit(0);
}

if (process.argv[2] === "client") await converse();
else work();
