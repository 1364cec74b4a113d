package realtime

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"

	"github.com/hangarshare/hangarshare-realtime/db"
)

// Errors of a position that a client sent.
var (
	// ErrMalformed says that a text is no position of ours.
	ErrMalformed = errors.New("not an event id")
	// ErrForeign says that a position belongs to another owner account.
	ErrForeign = errors.New("an event id of another owner account")
	// ErrOtherEpoch says that a position is of another history: a restored copy, another installation.
	ErrOtherEpoch = errors.New("an event id of another history")
)

const (
	epochSize = 6 // bytes of the epoch in a position
	ownerSize = 5 // bytes of the owner's tag in a position
)

// Epoch names one history of one database. Positions of different epochs cannot be compared.
type Epoch [epochSize]byte

// NewEpoch returns the Epoch for the log's own name of it.
func NewEpoch(name string) (e Epoch) {
	sum := sha256.Sum256([]byte(name))
	copy(e[:], sum[:])
	return e
}

// ownerTag marks a position as an owner's own, so that another's is recognised without looking anything up.
func (e Epoch) ownerTag(ownerID string) (tag [ownerSize]byte) {
	sum := sha256.Sum256(append(e[:], ownerID...))
	copy(tag[:], sum[:])
	return tag
}

// Format returns a position as the opaque text that clients hold: an event's id, or the place where an owner's stream
// begins. It is the same on every server of an installation. The form is base64url (RFC 4648) over epoch, owner's tag,
// and three varints.
func (e Epoch) Format(ownerID string, p db.Position) string {
	b := make([]byte, 0, epochSize+ownerSize+3*binary.MaxVarintLen64)
	b = append(b, e[:]...)
	tag := e.ownerTag(ownerID)
	b = append(b, tag[:]...)
	b = binary.AppendUvarint(b, uint64(p.Batch))
	b = binary.AppendUvarint(b, uint64(p.ID))
	b = binary.AppendUvarint(b, uint64(p.Turn-p.ID))
	return base64.RawURLEncoding.EncodeToString(b)
}

// Parse reads what Format wrote for an owner. It returns ErrMalformed for any text that Format does not write, else
// ErrOtherEpoch or ErrForeign where they apply.
func (e Epoch) Parse(ownerID, text string) (db.Position, error) {
	var p db.Position
	b, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || len(b) < epochSize+ownerSize+3 {
		return p, ErrMalformed
	}
	epoch, tag, rest := Epoch(b[:epochSize]), [ownerSize]byte(b[epochSize:epochSize+ownerSize]), b[epochSize+ownerSize:]
	var values [3]int64
	for i := range values {
		v, n := binary.Uvarint(rest)
		if n <= 0 || v > 1<<62 || (n > 1 && rest[n-1] == 0) { // the last: a longer form of a shorter number
			return p, ErrMalformed
		}
		values[i], rest = int64(v), rest[n:]
	}
	if len(rest) != 0 {
		return p, ErrMalformed
	}
	p = db.Position{Batch: values[0], ID: values[1], Turn: values[1] + values[2]}
	if epoch != e {
		return db.Position{}, ErrOtherEpoch
	}
	if tag != e.ownerTag(ownerID) {
		return db.Position{}, ErrForeign
	}
	return p, nil
}
