package realtime

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"

	"github.com/hangarshare/hangarshare-realtime/db/eventlog"
)

// Bits of a position's fields in its sealed form: at a thousand batches a second there
// are enough for 8,000 years.
const (
	batchBits = 48
	idBits    = 56
	// how far the turn lies behind the id: less than is inserted while one transaction is open
	furtherBits = 50
	valueBits   = 62
)

// sealed is the content of a position, 226 bits in two halves of 113: each is a number below 2^113.
type sealed struct{ left, right half }

// half is a number of 113 bits: the upper 49 and the lower 64.
type half struct{ high, low uint64 }

const highMask = 1<<49 - 1

// put writes a position and its owner's tag; or reports false where the position is
// beyond all that a log may have.
func (s *sealed) put(p eventlog.Position, tag [ownerSize]byte) bool {
	batch, id, further := uint64(p.Batch), uint64(p.ID), uint64(p.TxOrder-p.ID)
	if batch >= 1<<batchBits || id >= 1<<idBits || further >= 1<<furtherBits {
		return false
	}
	var eight [8]byte
	copy(eight[8-ownerSize:], tag[:])
	owner := binary.BigEndian.Uint64(eight[:]) // 40 bits
	// left: the batch's 48 bits, the mark's 32 and 33 of the id's 56; right: the other 23, the
	// further's 50 and the owner's 40.
	mark := uint64(p.Mark)
	s.left = half{high: batch<<1 | mark>>31, low: mark&(1<<31-1)<<33 | id>>23}
	s.right = half{high: id&(1<<23-1)<<26 | further>>24, low: further&(1<<24-1)<<40 | owner}
	return true
}

// get reads what put wrote.
func (s *sealed) get() (p eventlog.Position, tag [ownerSize]byte) {
	p.Batch = int64(s.left.high >> 1)
	p.Mark = uint32(s.left.high&1<<31 | s.left.low>>33)
	p.ID = int64(s.left.low&(1<<33-1)<<23 | s.right.high>>26)
	p.TxOrder = p.ID + int64(s.right.high&(1<<26-1)<<24|s.right.low>>40)
	var eight [8]byte
	binary.BigEndian.PutUint64(eight[:], s.right.low&(1<<40-1))
	copy(tag[:], eight[8-ownerSize:])
	return p, tag
}

// split returns the content as it stands in a text: 40 bits and three values of 62.
func (s *sealed) split() (head [ownerSize]byte, values [3]uint64) {
	var eight [8]byte
	binary.BigEndian.PutUint64(eight[:], s.left.high>>9)
	copy(head[:], eight[8-ownerSize:])
	values[0] = s.left.high&(1<<9-1)<<53 | s.left.low>>11
	values[1] = s.left.low&(1<<11-1)<<51 | s.right.high&highMask<<2 | s.right.low>>62
	values[2] = s.right.low & (1<<62 - 1)
	return head, values
}

// join is the reverse of split; false where a value has more than 62 bits.
func join(head [ownerSize]byte, values [3]uint64) (s sealed, ok bool) {
	for _, v := range values {
		if v >= 1<<valueBits {
			return s, false
		}
	}
	var eight [8]byte
	copy(eight[8-ownerSize:], head[:])
	s.left = half{high: binary.BigEndian.Uint64(eight[:])<<9 | values[0]>>53, low: values[0]&(1<<53-1)<<11 | values[1]>>51}
	s.right = half{high: values[1] & (1<<51 - 1) >> 2, low: values[1]&3<<62 | values[2]}
	return s, true
}

// positionCipher turns the content of positions into what looks random, the same for the same
// content, and back: a block cipher of 226 bits. It is made of AES by a balanced Feistel network of
// eight rounds (Luby and Rackoff, "How to construct pseudorandom permutations from pseudorandom
// functions": four suffice against adversaries that also have texts opened). A change of one bit of
// a text changes half of the content's bits, the owner's tag with them.
type positionCipher struct{ block cipher.Block }

const rounds = 8

// newPositionCipher returns a cipher with a key of 32 bytes.
func newPositionCipher(key []byte) *positionCipher {
	block, err := aes.NewCipher(key)
	if err != nil {
		panic(err) // a key of another length: a mistake of ours that every test meets
	}
	return &positionCipher{block}
}

// mix is the pseudorandom function of a round. It works in scratch: what a cipher.Block is given
// would otherwise be allocated twice in each round, of every event and every answer.
func (s *positionCipher) mix(scratch *[aes.BlockSize]byte, round byte, h half) half {
	binary.BigEndian.PutUint64(scratch[:8], h.high|uint64(round)<<56)
	binary.BigEndian.PutUint64(scratch[8:], h.low)
	s.block.Encrypt(scratch[:], scratch[:])
	return half{binary.BigEndian.Uint64(scratch[:8]) & highMask, binary.BigEndian.Uint64(scratch[8:])}
}

func (h half) xor(other half) half { return half{h.high ^ other.high, h.low ^ other.low} }

// close seals.
func (s *positionCipher) encrypt(content *sealed) {
	var scratch [aes.BlockSize]byte
	for round := range byte(rounds) {
		content.left, content.right = content.right, content.left.xor(s.mix(&scratch, round, content.right))
	}
}

// open undoes close.
func (s *positionCipher) decrypt(content *sealed) {
	var scratch [aes.BlockSize]byte
	for round := byte(rounds); round > 0; round-- {
		content.left, content.right = content.right.xor(s.mix(&scratch, round-1, content.left)), content.left
	}
}
