// Package sender carries messages out of the house: push to browsers' push services, mail to a mail
// server, mail to a webhook of the portal's.
//
// It promises that nothing is sent to an address of a private network unless the operator named it,
// that no redirect is followed, and that what the other side says reaches neither a user nor the
// log but for its status. It does not know why or to whom a message is sent, nor when it is tried
// again.
package sender
