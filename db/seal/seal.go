// Package seal encrypts and authenticates what the servers of one installation tell each other, by
// NOTIFY or through Redis. A listener there reads nothing, and can only withhold or repeat
// what was sent.
//
// It promises that Open returns only what Seal of the same installation was given, with its kind,
// epoch and number. It does not know what a message says, how it travels, or whether it came
// before: a repeated one opens again.
package seal

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"sync"
	"time"
)

// Kind says what a message is for. Each kind has keys of its own, so that none passes for another.
type Kind byte

// The kinds of messages.
const (
	// Parcel carries a batch of the log; its number is the batch's.
	Parcel Kind = 1 + iota
	// Heartbeat says that a server lives; its number is the newest batch that the server knows.
	Heartbeat
	// Gossip carries counts of a server; its number means nothing.
	Gossip
)

const (
	// SecretSize is how many bytes the secret of an installation has at least.
	SecretSize = 32
	// Overhead is by how many bytes a sealed message is longer than its content.
	Overhead = headerSize + nonceSize + tagSize

	version    = 1
	epochSize  = 16
	headerSize = 1 + 1 + 4 + epochSize + 8 // version, kind, day, epoch, number
	nonceSize  = 12
	tagSize    = 16
	keySize    = 32 // AES-256

	// maxMessages is how many messages this process seals with one key. A key may serve 2^32 random
	// nonces (NIST SP 800-38D, section 8.3) and is shared by the servers of an installation.
	maxMessages = 1 << 28
	// maxKeys bounds the keys that are kept. One day of one epoch needs three.
	maxKeys = 12
)

// Errors of Open and Seal.
var (
	// ErrForged says that a message was not sealed by this installation, or was changed on its way.
	ErrForged = errors.New("the message was not sealed by this installation, or was changed")
	// ErrVersion says that a message is of a version that this program does not know: another
	// server is newer.
	ErrVersion = errors.New("the message is of an unknown version")
	// ErrExhausted says that a key has sealed as many messages as it may: the next one comes with
	// the next UTC day.
	ErrExhausted = errors.New("the key of this day has sealed as many messages as it may")
)

// EpochID stands for an epoch in messages. The epoch itself is a secret: positions are encrypted
// with it.
type EpochID [epochSize]byte

// String returns the id in hexadecimal.
func (id EpochID) String() string { return hex.EncodeToString(id[:]) }

// Message is what Open found. Kind, Epoch and Number are authenticated as Content is.
type Message struct {
	Kind    Kind
	Epoch   EpochID
	Number  int64
	Content []byte
}

// Keyring seals and opens messages of one installation. It derives a key for each kind, epoch and
// UTC day from the installation's secret by HKDF-SHA-256 (RFC 5869) and encrypts with AES-256-GCM
// and random nonces. It is safe for concurrent use.
type Keyring struct {
	root []byte // HKDF's pseudorandom key

	mu   sync.Mutex
	keys map[keyName]*key
}

// keyName says which key a message needs.
type keyName struct {
	kind  Kind
	day   uint32 // since 1970-01-01 UTC
	epoch EpochID
}

type key struct {
	aead cipher.AEAD
	used int // messages sealed
}

// New returns the keyring of the installation whose secret is given: random bytes, SecretSize or
// more.
func New(secret []byte) (*Keyring, error) {
	if len(secret) < SecretSize {
		return nil, fmt.Errorf("the installation's secret has %d bytes; it must have %d: run `hangarshare migrate`", len(secret), SecretSize)
	}
	root, err := hkdf.Extract(sha256.New, secret, []byte("hangarshare realtime"))
	if err != nil {
		return nil, fmt.Errorf("derive keys: %w", err)
	}
	return &Keyring{root: root, keys: map[keyName]*key{}}, nil
}

// Derive returns size bytes for another purpose of the installation, the same for the same purpose.
// It panics where HKDF cannot give as many: 8,160 is the most.
func (k *Keyring) Derive(purpose string, size int) []byte {
	derived, err := hkdf.Expand(sha256.New, k.root, purpose, size)
	if err != nil {
		panic(err)
	}
	return derived
}

// EpochID returns the id of the log's epoch with a name.
func (k *Keyring) EpochID(epoch string) EpochID { return EpochID(k.Derive("epoch "+epoch, epochSize)) }

// Seal encrypts content at a moment, whose UTC day chooses the key. The result is binary and
// Overhead bytes longer than content: version, kind, day, epoch and number in the clear but
// authenticated, then nonce, ciphertext and tag. A NOTIFY payload must be text: encode it by
// base64.RawStdEncoding.
func (k *Keyring) Seal(kind Kind, epoch EpochID, number int64, content []byte, at time.Time) ([]byte, error) {
	name := keyName{kind, day(at), epoch}
	k.mu.Lock()
	sealing, err := k.key(name)
	if err == nil {
		k.keep(name, sealing)
		if sealing.used++; sealing.used > maxMessages {
			err = ErrExhausted
		}
	}
	k.mu.Unlock()
	if err != nil {
		return nil, err
	}
	message := make([]byte, headerSize, Overhead+len(content))
	message[0], message[1] = version, byte(kind)
	binary.BigEndian.PutUint32(message[2:], name.day)
	copy(message[6:], epoch[:])
	binary.BigEndian.PutUint64(message[6+epochSize:], uint64(number))
	return sealing.aead.Seal(message, nil, content, message), nil
}

// Open decrypts what Seal returned, at a moment whose UTC day is that of the sealing, the one
// before or the one after. It returns ErrForged or ErrVersion otherwise. An epoch that is not the
// receiver's is no error: compare it to EpochID of the own one.
func (k *Keyring) Open(message []byte, at time.Time) (Message, error) {
	if len(message) < Overhead {
		return Message{}, ErrForged
	}
	if message[0] != version {
		return Message{}, ErrVersion
	}
	header := message[:headerSize:headerSize]
	name := keyName{Kind(header[1]), binary.BigEndian.Uint32(header[2:]), EpochID(header[6 : 6+epochSize])}
	if name.day-day(at)+1 > 2 { // unsigned: below is far above
		return Message{}, ErrForged
	}
	k.mu.Lock()
	opening, err := k.key(name)
	k.mu.Unlock()
	if err != nil {
		return Message{}, err
	}
	content, err := opening.aead.Open(nil, nil, message[headerSize:], header)
	if err != nil {
		return Message{}, ErrForged
	}
	k.mu.Lock()
	k.keep(name, opening) // only now: a stranger's headers must not push keys out that are needed
	k.mu.Unlock()
	return Message{Kind: name.kind, Epoch: name.epoch, Number: int64(binary.BigEndian.Uint64(header[6+epochSize:])), Content: content}, nil
}

// day returns the UTC day of a moment, counted from 1970-01-01.
func day(at time.Time) uint32 { return uint32(at.Unix() / 86_400) }

// key returns a key that is kept, or a new one. It needs the lock.
func (k *Keyring) key(name keyName) (*key, error) {
	if kept, ok := k.keys[name]; ok {
		return kept, nil
	}
	purpose := fmt.Sprintf("message %d %d %x", name.kind, name.day, name.epoch)
	block, err := aes.NewCipher(k.Derive(purpose, keySize))
	if err != nil {
		return nil, fmt.Errorf("derive a key: %w", err)
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil, fmt.Errorf("derive a key: %w", err)
	}
	return &key{aead: aead}, nil
}

// keep keeps a key. It needs the lock. Keys of other days go first, then any.
func (k *Keyring) keep(name keyName, used *key) {
	if _, kept := k.keys[name]; kept {
		return
	}
	for _, others := range []func(keyName) bool{
		func(n keyName) bool { return n.day < name.day },
		func(keyName) bool { return true },
	} {
		for n := range k.keys {
			if len(k.keys) >= maxKeys && others(n) {
				delete(k.keys, n)
			}
		}
	}
	k.keys[name] = used
}
