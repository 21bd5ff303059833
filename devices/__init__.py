"""The device: profiles, the worker that generates and the daemon that serves."""
