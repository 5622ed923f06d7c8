"""What `epaxosctl new` makes: the configuration of a new cluster, and its certificates."""
