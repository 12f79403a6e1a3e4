const soap = require('soap');
(async () => {
  const client = await soap.createClientAsync(process.argv[2] + '?wsdl');
  const u = {Identificacao: '126b114c'};
  const said = {methods: Object.keys(client.describe().WBSAPI.WBSAPISoap).sort()};
  const [unique] = await client.sendUniqueAsync({...u, Telefone: '11987654321', Mensagem: 'ol\u00e1 & adeus', IdExterno: 7});
  said.unique = unique.sendUniqueResult;
  const [multiple] = await client.sendMultipleAsync({...u, Conteudo: '11987654321|a|1;11987653097|b|2'});
  said.multiple = multiple.sendMultipleResult;
  const [cancel] = await client.cancelAsync({...u, Hash: '0'});
  said.cancel = cancel.cancelResult;
  const [status] = await client.statusAsync({...u, Hash: '0'});
  said.status = status.statusResult;
  try { await client.sendUniqueAsync({...u, Telefone: '11987652014', Mensagem: 'a'}); }
  catch (error) { said.fault = error.root.Envelope.Body.Fault.faultcode; }
  console.log(JSON.stringify(said));
})();
