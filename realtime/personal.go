package realtime

// personalState is the newest message to one user of an account, which is state like the account's.
type personalState struct {
	newest  *Event
	version uint64 // counts the messages that were the newest so far
	readers int
}

// join counts a reader of its user's, and reports whether what they are told is still to be found
// out. The caller holds the lock.
func (o *ownerLog) join(s *Subscription) (wanted bool) {
	s.toldPersonal = 0
	if s.userID == "" {
		return false
	}
	p := o.personal[s.userID]
	if p == nil {
		if o.personal == nil {
			o.personal = make(map[string]*personalState)
		}
		p = &personalState{}
		o.personal[s.userID] = p
	}
	p.readers++
	return p.newest == nil
}

// leave ends what join began. What nobody reads is not kept up to date. The caller holds the lock.
func (o *ownerLog) leave(s *Subscription) {
	if p := o.personal[s.userID]; p != nil {
		if p.readers--; p.readers == 0 {
			delete(o.personal, s.userID)
		}
	}
}

// appendPersonal appends the message to a reader's user that it was not told yet. The caller holds
// the lock.
func (o *ownerLog) appendPersonal(buffer []*Event, s *Subscription) []*Event {
	p := o.personal[s.userID]
	if p == nil || p.newest == nil || p.version == s.toldPersonal {
		return buffer
	}
	s.toldPersonal = p.version
	return append(buffer, p.newest)
}

// Users returns the users who read about an owner, each with whether there is a message to them.
func (b *Bus) Users(ownerID string) (users map[string]bool) {
	b.withOwner(ownerID, func(o *ownerLog) {
		users = make(map[string]bool, len(o.personal))
		for id, p := range o.personal {
			users[id] = p.newest != nil
		}
	})
	return users
}

// PublishPersonal makes each message the newest to its user, if they read, and wakes their readers.
func (b *Bus) PublishPersonal(ownerID string, messages map[string]*Event) {
	var readers []Reader
	b.withOwner(ownerID, func(o *ownerLog) {
		for id, e := range messages {
			if p := o.personal[id]; p != nil {
				p.newest = e
				p.version++
			}
		}
		for i, s := range o.cursors {
			if messages[s.userID] != nil {
				readers = append(readers, o.readers[i])
			}
		}
	})
	wake(readers)
}
