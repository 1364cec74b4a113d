package eventlog

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"time"
)

// Parcel is a batch as the server that numbered it tells the others.
type Parcel struct {
	Batch int64
	Mark  uint32
	// Before is the mark of the batch before this one: who has read another one reads the log.
	Before uint32
	// Whole says that Changes are all of the batch's rows, in order. Without them the log is to be
	// read.
	Whole   bool
	Changes []Change
}

// ErrParcel says that a parcel is not in the form that this version writes.
var ErrParcel = errors.New("the parcel is of another form")

const (
	parcelWhole = 1 << iota // the rows follow
)

// Encode writes a parcel without its batch's number, which is told beside it. Rows are written as
// differences to the row before, and moments in microseconds, as PostgreSQL has them.
func (p Parcel) Encode() []byte {
	b := make([]byte, 0, 16+64*len(p.Changes))
	if !p.Whole {
		b = append(b, 0)
	} else {
		b = append(b, parcelWhole)
	}
	b = binary.BigEndian.AppendUint32(b, p.Mark)
	b = binary.BigEndian.AppendUint32(b, p.Before)
	if !p.Whole {
		return b
	}
	b = binary.AppendUvarint(b, uint64(len(p.Changes)))
	var id, at int64
	for _, c := range p.Changes {
		now := c.At.UnixMicro()
		b = binary.AppendVarint(b, c.ID-id)
		b = binary.AppendVarint(b, c.TxOrder-c.ID)
		b = binary.AppendVarint(b, now-at)
		b = appendText(b, c.OwnerID)
		b = appendText(b, c.Type)
		if c.Data == nil {
			b = append(b, 0)
		} else {
			b = append(b, 1)
			b = appendText(b, string(c.Data))
		}
		id, at = c.ID, now
	}
	return b
}

// WithoutRows returns the parcel that only says that there is a batch.
func (p Parcel) WithoutRows() Parcel { return Parcel{Batch: p.Batch, Mark: p.Mark, Before: p.Before} }

// DecodeParcel reads what Encode wrote of a batch with a number.
func DecodeParcel(batch int64, content []byte) (Parcel, error) {
	r := parcelReader{rest: content}
	flags := r.bytes(1)
	marks := r.bytes(8)
	if r.bad {
		return Parcel{}, ErrParcel
	}
	p := Parcel{Batch: batch, Mark: binary.BigEndian.Uint32(marks), Before: binary.BigEndian.Uint32(marks[4:]), Whole: flags[0] == parcelWhole}
	if !p.Whole {
		return p, nil
	}
	count := r.length()
	if count > len(r.rest) { // each has several bytes
		return Parcel{}, ErrParcel
	}
	p.Changes = make([]Change, 0, count)
	var id, at int64
	for range count {
		id += r.difference()
		c := Change{Position: Position{Batch: batch, ID: id, Mark: p.Mark}}
		c.TxOrder = id + r.difference()
		at += r.difference()
		c.At = time.UnixMicro(at).UTC()
		c.OwnerID, c.Type = string(r.bytes(r.length())), string(r.bytes(r.length()))
		if has := r.bytes(1); len(has) == 1 && has[0] == 1 {
			c.Data = json.RawMessage(r.bytes(r.length()))
		}
		p.Changes = append(p.Changes, c)
	}
	if r.bad || len(r.rest) > 0 {
		return Parcel{}, ErrParcel
	}
	return p, nil
}

func appendText(b []byte, text string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(text))), text...)
}

// parcelReader reads pieces of a parcel until there is none.
type parcelReader struct {
	rest []byte
	bad  bool
}

func (r *parcelReader) bytes(n int) []byte {
	if r.bad || n < 0 || n > len(r.rest) {
		r.bad = true
		return nil
	}
	piece := r.rest[:n:n]
	r.rest = r.rest[n:]
	return piece
}

func (r *parcelReader) length() int {
	n, size := binary.Uvarint(r.rest)
	if size <= 0 || n > uint64(len(r.rest)) {
		r.bad = true
		return 0
	}
	r.rest = r.rest[size:]
	return int(n)
}

func (r *parcelReader) difference() int64 {
	n, size := binary.Varint(r.rest)
	if size <= 0 {
		r.bad = true
		return 0
	}
	r.rest = r.rest[size:]
	return n
}
