const smpp = require('smpp');
const server = smpp.createServer(session => {
  session.on('error', () => {});
  session.on('bind_transceiver', pdu => {
    const ok = pdu.password === 'segredo1';
    session.send(pdu.response({command_status: ok ? 0 : smpp.ESME_RINVPASWD, system_id: 'node'}));
  });
  session.on('submit_sm', pdu => {
    console.log(JSON.stringify({
      source: pdu.source_addr, to: pdu.destination_addr, text: pdu.short_message.message,
      reference: pdu.user_message_reference, validity: pdu.validity_period, receipt: pdu.registered_delivery,
    }));
    session.send(pdu.response({message_id: 'node-' + pdu.sequence_number}));
    const receipt = ' sub:001 dlvrd:001 submit date:2611231200 done date:2611231201 stat:DELIVRD err:000';
    session.deliver_sm({source_addr: pdu.destination_addr, destination_addr: pdu.source_addr, esm_class: 4,
      short_message: 'id:node-' + pdu.sequence_number + receipt},
      answer => console.log(JSON.stringify({answer: answer.command_status})));
    session.deliver_sm({source_addr: pdu.destination_addr, destination_addr: pdu.source_addr, short_message: 'n\u00e3o'});
  });
  session.on('cancel_sm', pdu => session.send(pdu.response()));
  session.on('unbind', pdu => { session.send(pdu.response()); session.close(); });
});
server.listen(0, '127.0.0.1', () => console.log(JSON.stringify({port: server.address().port})));
