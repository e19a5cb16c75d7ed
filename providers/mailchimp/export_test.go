package mailchimp

// DataCenter is shown to the tests, because no call may leave the machine.
var DataCenter = dataCenter
