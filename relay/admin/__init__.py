"""What operators decide while the relay runs: pauses, bans, nodes, what is removed; and who is an operator."""
