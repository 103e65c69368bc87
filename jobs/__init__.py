"""The jobs this project ships, written as any application would: on what ``runner`` makes public."""
