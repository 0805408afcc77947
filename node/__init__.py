"""What may happen in a trading room: rules, views, and the one node that records them."""
