"""Mensageiro: an SMPP 3.4 transceiver gateway between an MQTT queue and a Brazilian SMS provider."""

__version__ = "0.1.0"
