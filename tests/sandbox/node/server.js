const http = require('http'), soap = require('soap'), fs = require('fs');
const told = arguments => console.log(JSON.stringify(arguments));
const md5 = number => number.toString(16).padStart(32, '0');
const methods = {
  sendUnique: a => { told(a);
    if (a.Telefone.endsWith('2014')) throw {Fault: {faultcode: 'soap:Server', faultstring: 'em manuten\u00e7\u00e3o', statusCode: 500}};
    return {sendUniqueResult: a.Telefone.endsWith('3090') ? '90' : '1;' + md5(Number(a.IdExterno))}; },
  sendMultiple: a => { told(a);
    const records = a.Conteudo.split(';').map(each => each.split('|'));
    return {sendMultipleResult: records.map(([n, , id]) => `1;${md5(Number(id))};${n};${id}`).join('\r\n')}; },
  cancel: a => { told(a); return {cancelResult: a.Hash.split(';').map(hash => hash + ';9').join('\n')}; },
  status: a => { told(a); return {statusResult: 'OUT-OF-DATE'}; },
  inbox: a => { told(a); return {inboxResult: ''}; },
  inBox: a => { told(a); return {inBoxResult: ''}; },
};
const server = http.createServer();
server.listen(0, '127.0.0.1', () => {
  soap.listen(server, '/wbsapi.asmx', {WBSAPI: {WBSAPISoap: methods}}, fs.readFileSync(process.argv[2], 'utf8'));
  console.log(JSON.stringify({port: server.address().port}));
});
