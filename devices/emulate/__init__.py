"""A device on this machine: its CPU model in QEMU user mode, its runtime, its instructions counted."""
