"""`twistd epaxos`."""

from twisted.application.service import ServiceMaker

epaxos = ServiceMaker("epaxos", "epaxos.tap", "A replica of an epaxos cluster.", "epaxos")
