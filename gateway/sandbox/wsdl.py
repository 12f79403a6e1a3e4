"""The WSDL that the sandbox's web service shows: written from the manual, as ASP.NET would show it. Pure.

The manual has no WSDL. Optional parameters have `minOccurs="0"`; the number is a string, since it may not lose a digit.
"""

from xml.sax.saxutils import escape

SOAP_11 = "http://schemas.xmlsoap.org/soap/envelope/"
SOAP_12 = "http://www.w3.org/2003/05/soap-envelope"

_SEND = "Identificacao:string Telefone:string Mensagem:string Agenda?:dateTime TipoMensagem?:int CentroCustos?:int IdExterno?:unsignedLong"
_METHODS = {
    "sendUnique": _SEND,
    "sendMultiple": "Identificacao:string Conteudo:string",
    "inbox": "Identificacao:string DataInicial?:dateTime DataFinal?:dateTime Reexibir?:int",
    "status": "Identificacao:string Hash:string",
    "cancel": "Identificacao:string Hash:string",
}


def wsdl(namespace: str, url: str, inbox_name: str = "inbox") -> str:
    """Write the document for a namespace and an address."""
    methods = {inbox_name if name == "inbox" else name: fields for name, fields in _METHODS.items()}
    tns, address = (escape(each, {'"': "&quot;"}) for each in (namespace, url))
    return f"""<?xml version="1.0" encoding="utf-8"?>
<wsdl:definitions xmlns:wsdl="http://schemas.xmlsoap.org/wsdl/" xmlns:s="http://www.w3.org/2001/XMLSchema" xmlns:tns="{tns}"
    xmlns:soap="http://schemas.xmlsoap.org/wsdl/soap/" xmlns:soap12="http://schemas.xmlsoap.org/wsdl/soap12/" targetNamespace="{tns}">
<wsdl:types><s:schema elementFormDefault="qualified" targetNamespace="{tns}">
{"".join(_elements(name, fields) for name, fields in methods.items())}</s:schema></wsdl:types>
{"".join(_messages(name) for name in methods)}<wsdl:portType name="WBSAPISoap">
{"".join(_operation(name) for name in methods)}</wsdl:portType>
{"".join(_binding(version, tns, methods) for version in ("soap", "soap12"))}<wsdl:service name="WBSAPI">
<wsdl:port name="WBSAPISoap" binding="tns:WBSAPISoap"><soap:address location="{address}" /></wsdl:port>
<wsdl:port name="WBSAPISoap12" binding="tns:WBSAPISoap12"><soap12:address location="{address}" /></wsdl:port>
</wsdl:service>
</wsdl:definitions>
"""


def _elements(name: str, fields: str) -> str:
    each = "".join(map(_element, fields.split()))
    result = f'<s:element minOccurs="0" maxOccurs="1" name="{name}Result" type="s:string" />'
    return f"{_complex(name, each)}{_complex(f'{name}Response', result)}"


def _complex(name: str, content: str) -> str:
    return f'<s:element name="{name}"><s:complexType><s:sequence>{content}</s:sequence></s:complexType></s:element>\n'


def _element(field: str) -> str:
    name, _, type = field.partition(":")
    return f'<s:element minOccurs="{int(not name.endswith("?"))}" maxOccurs="1" name="{name.rstrip("?")}" type="s:{type}" />'


def _messages(name: str) -> str:
    return (
        f'<wsdl:message name="{name}SoapIn"><wsdl:part name="parameters" element="tns:{name}" /></wsdl:message>\n'
        f'<wsdl:message name="{name}SoapOut"><wsdl:part name="parameters" element="tns:{name}Response" /></wsdl:message>\n'
    )


def _operation(name: str) -> str:
    messages = f'<wsdl:input message="tns:{name}SoapIn" /><wsdl:output message="tns:{name}SoapOut" />'
    return f'<wsdl:operation name="{name}">{messages}</wsdl:operation>\n'


def _binding(version: str, tns: str, methods: dict[str, str]) -> str:
    body = f'<{version}:body use="literal" />'
    operations = "".join(
        f'<wsdl:operation name="{name}"><{version}:operation soapAction="{tns}{name}" style="document" />'
        f"<wsdl:input>{body}</wsdl:input><wsdl:output>{body}</wsdl:output></wsdl:operation>\n"
        for name in methods
    )
    return (
        f'<wsdl:binding name="WBSAPI{version.capitalize()}" type="tns:WBSAPISoap">\n'
        f'<{version}:binding transport="http://schemas.xmlsoap.org/soap/http" />\n{operations}</wsdl:binding>\n'
    )
