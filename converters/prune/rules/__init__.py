"""How each family of operators relates the channels of what it reads and makes."""
