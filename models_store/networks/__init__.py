"""Networks: their architecture, their weights, and the engines that compute them."""
