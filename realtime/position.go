package realtime

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"

	"github.com/hangarshare/hangarshare-realtime/db/eventlog"
)

// Errors of a position that a client sent.
var (
	// ErrMalformed says that a text is no position of ours.
	ErrMalformed = errors.New("not an event id")
	// ErrForeign says that a position belongs to another owner account.
	ErrForeign = errors.New("an event id of another owner account")
	// ErrOtherEpoch says that a position is of another history: a restored copy, another
	// installation.
	ErrOtherEpoch = errors.New("an event id of another history")
)

const (
	epochSize = 6 // bytes of the epoch in a position
	ownerSize = 5 // bytes after it; in the former form, the owner's tag
)

// Epoch names one history of one database. Positions of different epochs cannot be compared.
type Epoch struct {
	former [epochSize]byte // as positions of before began
	name   [epochSize]byte
	cipher *positionCipher
}

// NewEpoch returns the Epoch for the log's own name of it, which is random and known to nobody who
// has only positions: it is the key that they are sealed with.
func NewEpoch(name string) (e Epoch) {
	sum := sha256.Sum256([]byte(name))
	copy(e.former[:], sum[:])
	copy(e.name[:], derive(name, "name"))
	if e.name == e.former {
		e.name[0] ^= 1 // the two forms begin differently, always
	}
	e.cipher = newPositionCipher(derive(name, "seal"))
	return e
}

// derive returns a key for one purpose.
func derive(name, purpose string) []byte {
	mac := hmac.New(sha256.New, []byte(name))
	mac.Write([]byte("position " + purpose))
	return mac.Sum(nil)
}

// ownerTag marks a position as an owner's own, so that another's is recognised without
// looking anything up.
func (e Epoch) ownerTag(ownerID string) (tag [ownerSize]byte) {
	sum := sha256.Sum256(append(e.former[:], ownerID...))
	copy(tag[:], sum[:])
	return tag
}

// Format returns a position as the opaque text that clients hold: an event's id, or the place where
// an owner's stream begins. It is the same on every server of an installation and tells nobody how
// much has happened to others.
//
// The form is base64url (RFC 4648) over the epoch's name, 5 bytes and three varints, which hold the
// sealed content. To servers of before it is a well-formed position of another history, after which
// they have clients load their numbers again.
func (e Epoch) Format(ownerID string, p eventlog.Position) string {
	var content sealed
	if !content.put(p, e.ownerTag(ownerID)) {
		return e.formatFormer(ownerID, p)
	}
	e.cipher.encrypt(&content)
	head, values := content.split()
	b := make([]byte, 0, epochSize+ownerSize+len(values)*binary.MaxVarintLen64)
	b = append(b, e.name[:]...)
	b = append(b, head[:]...)
	for _, v := range values {
		b = binary.AppendUvarint(b, v)
	}
	return base64.RawURLEncoding.EncodeToString(b)
}

// formatFormer writes the form of before, whose numbers are open and which carries no mark.
func (e Epoch) formatFormer(ownerID string, p eventlog.Position) string {
	b := make([]byte, 0, epochSize+ownerSize+3*binary.MaxVarintLen64)
	b = append(b, e.former[:]...)
	tag := e.ownerTag(ownerID)
	b = append(b, tag[:]...)
	b = binary.AppendUvarint(b, uint64(p.Batch))
	b = binary.AppendUvarint(b, uint64(p.ID))
	b = binary.AppendUvarint(b, uint64(p.TxOrder-p.ID))
	return base64.RawURLEncoding.EncodeToString(b)
}

// Parse reads what Format wrote for an owner, and the form of before. It returns ErrMalformed for
// any other text, else ErrOtherEpoch or ErrForeign where they apply.
func (e Epoch) Parse(ownerID, text string) (eventlog.Position, error) {
	b, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || len(b) < epochSize+ownerSize+3 {
		return eventlog.Position{}, ErrMalformed
	}
	epoch, head, rest := [epochSize]byte(b[:epochSize]), [ownerSize]byte(b[epochSize:epochSize+ownerSize]), b[epochSize+ownerSize:]
	var values [3]uint64
	for i := range values {
		v, n := binary.Uvarint(rest)
		// the last: a longer form of a shorter number
		if n <= 0 || v > 1<<62 || (n > 1 && rest[n-1] == 0) {
			return eventlog.Position{}, ErrMalformed
		}
		values[i], rest = v, rest[n:]
	}
	switch {
	case len(rest) != 0:
		return eventlog.Position{}, ErrMalformed
	case epoch == e.name:
		return e.open(ownerID, head, values)
	case epoch != e.former:
		return eventlog.Position{}, ErrOtherEpoch
	case head != e.ownerTag(ownerID):
		return eventlog.Position{}, ErrForeign
	}
	return eventlog.Position{Batch: int64(values[0]), ID: int64(values[1]), TxOrder: int64(values[1] + values[2])}, nil
}

// open reads the sealed content of a position.
func (e Epoch) open(ownerID string, head [ownerSize]byte, values [3]uint64) (eventlog.Position, error) {
	content, ok := join(head, values)
	if !ok {
		return eventlog.Position{}, ErrMalformed
	}
	e.cipher.decrypt(&content)
	p, tag := content.get()
	if tag != e.ownerTag(ownerID) {
		return eventlog.Position{}, ErrForeign
	}
	return p, nil
}
