"""What crosses to the page: typed messages, their encoding, and the one function that answers a request."""
