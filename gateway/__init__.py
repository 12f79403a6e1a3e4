"""Mensageiro: an SMPP 3.4 transceiver gateway between an MQTT queue and a Brazilian SMS provider.

The way of a message:

    MQTT --PUBLISH--> ingest --append--> JOURNAL --claim--> dispatch --submit_sm--> carrier --> provider
      ^                 | PUBACK after commit |  <--settle(Outcome)--  |               | deliver_sm
      |                                       |  <--match + outbox-- receipts <--------+ deliver_sm_resp after commit
      +--PUBLISH QoS 1-- publish <--outbox----+

1. `ingest` takes PUBLISHes from `broker/mqtt`, checks them, appends them to the journal, and acknowledges after the commit.
2. `dispatch/dispatcher` claims what a carrier has credit for (which records the attempt before a byte leaves), submits, and settles what
   the carrier answers: Submitted, Rejected, Deferred or InDoubt.
3. `receipts` matches what the provider reports to its message, and answers the provider after the commit.
4. `publish` sends the outbox's events and deletes each on its PUBACK.

The stages never call each other: they meet in the journal (`journal/base`), which is the only state. What a message may do is one table,
`message.TRANSITIONS`. Layers, each importing only those below it (import-linter checks):

    __main__ > cli > demo > app | sandbox > ingest | dispatch | receipts | publish | admin | control | reload > broker | carriers | journal
      > metrics | config | logs | systemd > provider > message > smpp | mqtt | text | msisdn

`smpp` and `mqtt` are protocol cores without I/O (`stream.py` apart); `text`, `msisdn`, `provider`, `message` and the policies beside the
dispatcher are pure.
"""

__version__ = "0.1.0"
