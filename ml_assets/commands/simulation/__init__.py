"""Traffic of known truth for a running server: customers who return, and challengers whose fault is known."""
