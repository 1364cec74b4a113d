// Package outboxtest is the other side of what leaves the house, for tests: a push service with its
// devices, and a mail server. They are real servers on loopback, which answer as they are told.
package outboxtest

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

// Device is a browser that has subscribed: its key pair and its secret (RFC 8291, section 3.1).
type Device struct {
	Endpoint string
	Private  *ecdh.PrivateKey
	Secret   []byte
}

// NewDevice returns a device at an endpoint.
func NewDevice(t testing.TB, endpoint string) Device {
	t.Helper()
	private, err := ecdh.P256().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	secret := make([]byte, 16)
	rand.Read(secret)
	return Device{endpoint, private, secret}
}

// P256dh and Auth are what the browser gives to the server.
func (d Device) P256dh() string {
	return base64.RawURLEncoding.EncodeToString(d.Private.PublicKey().Bytes())
}

// Auth is the device's secret in base64url.
func (d Device) Auth() string { return base64.RawURLEncoding.EncodeToString(d.Secret) }

// Decrypt opens a body of one record as the device's browser does (RFC 8188, section 2; RFC 8291,
// section 3.4).
func (d Device) Decrypt(body []byte) ([]byte, error) {
	if len(body) < 21 || len(body) < 21+int(body[20]) {
		return nil, errors.New("the body is shorter than its header")
	}
	salt, size, sender := body[:16], binary.BigEndian.Uint32(body[16:20]), body[21:21+int(body[20])]
	record := body[21+int(body[20]):]
	if uint64(len(record)) > uint64(size) {
		return nil, fmt.Errorf("a record of %d bytes in a body of records of %d", len(record), size)
	}
	theirs, err := ecdh.P256().NewPublicKey(sender)
	if err != nil {
		return nil, err
	}
	shared, err := d.Private.ECDH(theirs)
	if err != nil {
		return nil, err
	}
	info := "WebPush: info\x00" + string(d.Private.PublicKey().Bytes()) + string(sender)
	material, err := hkdf.Key(sha256.New, shared, d.Secret, info, 32)
	if err != nil {
		return nil, err
	}
	key, err := hkdf.Key(sha256.New, material, salt, "Content-Encoding: aes128gcm\x00", 16)
	if err != nil {
		return nil, err
	}
	nonce, err := hkdf.Key(sha256.New, material, salt, "Content-Encoding: nonce\x00", 12)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		return nil, err
	}
	plain, err := gcm.Open(nil, nonce, record, nil)
	if err != nil {
		return nil, err
	}
	plain = bytes.TrimRight(plain, "\x00")
	if len(plain) == 0 || plain[len(plain)-1] != 2 {
		return nil, errors.New("the last record does not end with 2")
	}
	return plain[:len(plain)-1], nil
}

// Pushed is a message that came to a push service.
type Pushed struct {
	Path   string
	Header http.Header
	Body   []byte
	Claims map[string]any
}

// Service is a push service. Answer says how it answers a path, 201 where it is nil. It checks what
// RFC 8292 has it check.
type Service struct {
	*httptest.Server
	Answer func(w http.ResponseWriter, r *http.Request, n int)

	t    testing.TB
	mu   sync.Mutex // guards what follows
	seen []Pushed
}

// NewService starts a push service over TLS.
func NewService(t testing.TB, answer func(w http.ResponseWriter, r *http.Request, n int)) *Service {
	t.Helper()
	s := &Service{t: t, Answer: answer}
	s.Server = httptest.NewTLSServer(http.HandlerFunc(s.serve))
	t.Cleanup(s.Close)
	return s
}

// Host is what PUSH_HOSTS names it by.
func (s *Service) Host() string { return strings.TrimPrefix(s.URL, "https://") }

// Seen returns what came to a path, "" for all.
func (s *Service) Seen(path string) (list []Pushed) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, one := range s.seen {
		if path == "" || one.Path == path {
			list = append(list, one)
		}
	}
	return list
}

func (s *Service) serve(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	claims, err := s.verify(r.Header.Get("Authorization"))
	if err != nil {
		s.t.Errorf("%s: %v", r.URL.Path, err)
	}
	s.mu.Lock()
	s.seen = append(s.seen, Pushed{r.URL.Path, r.Header.Clone(), body, claims})
	n := 0
	for _, one := range s.seen {
		if one.Path == r.URL.Path {
			n++
		}
	}
	s.mu.Unlock()
	if s.Answer == nil {
		w.WriteHeader(http.StatusCreated)
		return
	}
	s.Answer(w, r, n)
}

// verify checks a header Authorization (RFC 8292, section 3) and returns what its token says.
func (s *Service) verify(header string) (map[string]any, error) {
	var token, key string
	if _, err := fmt.Sscanf(strings.ReplaceAll(header, ",", " "), "vapid t=%s k=%s", &token, &key); err != nil {
		return nil, fmt.Errorf("Authorization %q: %w", header, err)
	}
	parts := strings.Split(token, ".")
	raw, err := base64.RawURLEncoding.DecodeString(key)
	if err != nil || len(raw) != 65 || len(parts) != 3 {
		return nil, fmt.Errorf("key %q, token %q", key, token)
	}
	public := ecdsa.PublicKey{Curve: elliptic.P256(), X: new(big.Int).SetBytes(raw[1:33]), Y: new(big.Int).SetBytes(raw[33:])}
	signature, err := base64.RawURLEncoding.DecodeString(parts[2])
	sum := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	if err != nil || len(signature) != 64 || !ecdsa.Verify(&public, sum[:], new(big.Int).SetBytes(signature[:32]), new(big.Int).SetBytes(signature[32:])) {
		return nil, errors.New("the token's signature is not by its key")
	}
	text, err := base64.RawURLEncoding.DecodeString(parts[1])
	var claims map[string]any
	if err != nil || json.Unmarshal(text, &claims) != nil {
		return nil, fmt.Errorf("claims %q", parts[1])
	}
	expires, _ := claims["exp"].(float64)
	left := time.Until(time.Unix(int64(expires), 0))
	if claims["aud"] != s.URL || left <= 0 || left > 24*time.Hour {
		return nil, fmt.Errorf("aud %v, exp in %s", claims["aud"], left)
	}
	return claims, nil
}
