"""Another machine, reached through OpenSSH: asked to measure, and what answers there."""
