"""Which member a certificate is of, and who may speak as which."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from epaxos.transport.handshake import Refused
from epaxos.transport.proof import NO_PROOFS, Proofs, check_member, member_of

OURS = "epaxos://home/1"


class NamesTests(SynchronousTestCase):
    def test_a_member(self) -> None:
        for names, member in (
            ([OURS], 1),
            (["epaxos://home/0"], 0),
            (["epaxos://home/17"], 17),
            (["spiffe://home/2", OURS, "https://home/3"], 1),
        ):
            self.assertEqual(member_of(names, "home", "it"), member)

    def test_nobody(self) -> None:
        for names, text in (
            ([], "it names no member: it has no URI epaxos://home/NUMBER"),
            (["spiffe://home/1"], "it names no member: it has no URI epaxos://home/NUMBER"),
            ([OURS, OURS], "it names 2 members, and has to name one"),
            ([OURS, "epaxos://away/1"], "it names 2 members, and has to name one"),
            ([OURS, "EPAXOS://home/2"], "it names 2 members, and has to name one"),
            (["epaxos://away/1"], "it is of cluster 'away', here it is 'home'"),
            (["epaxos://HOME/1"], "it is of cluster 'HOME', here it is 'home'"),
            *(
                ([name], f"it names {name!a}, which is not epaxos://CLUSTER/NUMBER")
                for name in (
                    *("epaxos:", "epaxos://home", "epaxos://home/", "epaxos:///1", "epaxos:home/1"),
                    *("epaxos://home/01", "epaxos://home/+1", "epaxos://home/-1", "epaxos://home/1/"),
                    *("epaxos://home/1?x", "epaxos://home/1#x", "epaxos://home/1\n", "epaxos://home/1\0"),
                    *("epaxos://home/\N{ARABIC-INDIC DIGIT ONE}", "epaxos://user@home/1", "Epaxos://home/1"),
                    *("epaxos://home:80/1", "epaxos://home/1 ", "epaxos://home//1", "epaxos://ho%6De/1"),
                )
            ),
        ):
            refusal = self.assertRaises(Refused, member_of, names, "home", "it")
            self.assertEqual(str(refusal), text)

    def test_long_names_are_cut(self) -> None:
        for name in ("epaxos://" + "x" * 9000 + "/1", "epaxos://home/" + "1" * 9000):
            refusal = self.assertRaises(Refused, member_of, [name], "home", "it")
            self.assertLess(len(str(refusal)), 200)

    @given(st.lists(st.one_of(st.sampled_from([OURS, "epaxos:", "epaxos://home/2", "dns:x"]), st.text())))
    def test_only_one_whole_name_is_taken(self, names: list[str]) -> None:
        ours = [name for name in names if name.lower().startswith("epaxos:")]
        try:
            member = member_of(names, "home", "it")
        except Refused:
            self.assertFalse(len(ours) == 1 and ours[0] in (OURS, "epaxos://home/2"))
        else:
            self.assertEqual(ours, [f"epaxos://home/{member}"])


class ProofsTests(SynchronousTestCase):
    def test_the_member_has_to_be_the_one_claimed(self) -> None:
        for proof, member, text in (
            (1, 1, None),
            (None, 1, None),
            (1, 2, "it is of replica 1, not of replica 2"),
            (0, 1, "it is of replica 0, not of replica 1"),
        ):
            if text is None:
                check_member(proof, member, "it")
            else:
                refusal = self.assertRaises(Refused, check_member, proof, member, "it")
                self.assertEqual(str(refusal), text)

    def test_both_sides(self) -> None:
        asked = []
        proofs = Proofs("home", lambda transport: asked.append(transport) or [OURS])  # type: ignore[func-returns-value]
        proofs.of_dialler("transport", 1)
        proofs.of_listener(1, "transport")
        self.assertEqual(asked, ["transport", "transport"])
        refusal = self.assertRaises(Refused, proofs.of_dialler, "transport", 2)
        self.assertEqual(str(refusal), "the dialler's certificate is of replica 1, not of replica 2")
        refusal = self.assertRaises(Refused, proofs.of_listener, 0, "transport")
        self.assertEqual(str(refusal), "its certificate is of replica 1, not of replica 0")

    def test_no_certificate_is_no_proof(self) -> None:
        proofs = Proofs("home", lambda transport: ())
        self.assertRaises(Refused, proofs.of_dialler, object(), 1)
        self.assertRaises(Refused, proofs.of_listener, 1, object())

    def test_none_is_asked_for(self) -> None:
        NO_PROOFS.of_dialler(object(), 1)
        NO_PROOFS.of_listener(1, object())
