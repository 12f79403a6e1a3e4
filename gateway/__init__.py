"""Mensageiro: a gateway between an MQTT queue and a Brazilian SMS provider: SMPP 3.4, its HTTP API, its web service.

The way of a message:

    MQTT --PUBLISH--> ingest --append--> JOURNAL --claim--> dispatch --submit--> carrier smpp | http | webservice --> provider
      ^                 | PUBACK after commit |  <--settle(Outcome)--  |               | deliver_sm         | call-backs
      |                                       |  <--match + outbox-- receipts <--------+--------------------+
      +--PUBLISH QoS 1-- publish <--outbox----+                          | deliver_sm_resp, 200 after commit

1. `ingest` takes PUBLISHes from `broker/mqtt`, checks them, asks each carrier whether it can carry the message and in how many parts,
   appends them to the journal, and acknowledges after the commit.
2. `dispatch/dispatcher` claims what a carrier has credit for, of each message the next part (which records the attempt before a byte
   leaves), submits, and settles what the carrier answers: Submitted, Rejected, Deferred or InDoubt. Which carrier may claim is for
   `dispatch/routing` to say: the first that can be used; a message of which anything left stays with its carrier.
3. `carriers/smpp` sends over sessions; `carriers/requests` by requests, with `carriers/http` or `carriers/webservice` as the wire. What an
   answer means is the manual's, in `provider`; what octets a text comes to is for `text` to say.
4. `receipts` matches what the provider reports to its message and publishes replies; it comes by the carriers' sessions, or by
   `carriers/callbacks`, the listener for what went by requests. The provider is answered after the commit.
5. `publish` sends the outbox's events and deletes each on its PUBACK.

The stages never call each other: they meet in the journal (`journal/base`), which is the only state. What a message may do is one table,
`message.TRANSITIONS`. Layers, each importing only those below it (pyproject.toml names every module, import-linter checks):

    cli > demo | account > app | sandbox > stages | admin | control > broker | carriers | journal > metrics | config | logs
      > provider > events > message > smpp | mqtt | text | msisdn

`smpp` and `mqtt` are protocol cores without I/O (`stream.py` apart); `text`, `msisdn`, `provider`, `events`, `message` and the policies
beside the dispatcher and the carriers are pure. What is promised when any of this dies: docs/guarantees.md.
"""

__version__ = "0.2.0"
