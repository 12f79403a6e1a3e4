"""What a carrier says of itself shows in the metrics, under labels that existed from the start."""

from gateway.carriers.base import CarrierState
from gateway.carriers.smpp_metrics import SmppMetrics
from gateway.metrics import Metrics


def test_every_call_of_the_observer_shows_and_makes_no_series() -> None:
    metrics = Metrics(["smpp"], ["smpp/0", "smpp/1"])
    observer = SmppMetrics("smpp", metrics)
    series = len(metrics.expose().splitlines())
    observer.pdu("in", "submit_sm_resp", "throttled", 3)
    observer.bound(1, True)
    observer.rate(50.0)
    observer.window(1, 4, 50)
    observer.reconnect(0, "credentials")
    observer.state(CarrierState.SUSPENDED)
    text = metrics.expose().decode()
    for line in (
        'mensageiro_pdus_total{command="submit_sm_resp",direction="in",status="throttled"} 3.0',
        'mensageiro_smpp_bound{bind="smpp/1"} 1.0',
        'mensageiro_smpp_window_used{bind="smpp/1"} 4.0',
        'mensageiro_smpp_window_size{bind="smpp/1"} 50.0',
        'mensageiro_smpp_rate_limit{bind="smpp/1"} 50.0',
        'mensageiro_smpp_reconnects_total{bind="smpp/0",reason="credentials"} 1.0',
        'mensageiro_carrier_state{carrier="smpp",state="suspended"} 1.0',
    ):
        assert line in text
    assert len(text.splitlines()) == series
