"""What a bundle costs on this machine: timed and weighed in fresh processes, with what makes a run doubtful."""
