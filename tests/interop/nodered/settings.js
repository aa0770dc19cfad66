// Node-RED without its editor: nothing listens, and the flow and its passwords are the files that nodered_test.go writes.
module.exports = {
  httpAdminRoot: false,
  httpNodeRoot: false,
  flowFile: 'flows.json',
  credentialSecret: false,
  telemetry: { enabled: false, updateNotification: false },
  logging: { console: { level: 'info' } },
};
