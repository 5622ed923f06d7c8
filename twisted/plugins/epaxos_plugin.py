"""`twistd epaxos`."""

from twisted.application.service import ServiceMaker

epaxos = ServiceMaker("epaxos", "epaxos.service.tap", "A replica of an epaxos cluster.", "epaxos")
