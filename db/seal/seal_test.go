package seal_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hangarshare/hangarshare-realtime/db/seal"
)

var noon = time.Date(2026, 3, 14, 12, 0, 0, 0, time.UTC)

func keyring(t *testing.T, fill byte) *seal.Keyring {
	t.Helper()
	k, err := seal.New(bytes.Repeat([]byte{fill}, seal.SecretSize))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func sealed(t *testing.T, k *seal.Keyring, kind seal.Kind, epoch string, number int64, content string) []byte {
	t.Helper()
	message, err := k.Seal(kind, k.EpochID(epoch), number, []byte(content), noon)
	if err != nil {
		t.Fatal(err)
	}
	return message
}

func TestSealAndOpen(t *testing.T) {
	t.Parallel()
	sender, receiver := keyring(t, 1), keyring(t, 1)
	for _, content := range []string{"", "a guest's name", strings.Repeat("x", 300_000)} {
		message := sealed(t, sender, seal.Parcel, "epoch", -7, content)
		if len(message) != len(content)+seal.Overhead {
			t.Errorf("a content of %d bytes became %d", len(content), len(message))
		}
		got, err := receiver.Open(message, noon)
		if err != nil {
			t.Fatal(err)
		}
		if got.Kind != seal.Parcel || got.Epoch != receiver.EpochID("epoch") || got.Number != -7 || string(got.Content) != content {
			t.Errorf("opened kind %d, epoch %v, number %d and %d bytes", got.Kind, got.Epoch, got.Number, len(got.Content))
		}
	}
}

func TestMessagesHideWhatTheySay(t *testing.T) {
	t.Parallel()
	k := keyring(t, 1)
	epoch, content := "0f0e0d0c-0b0a-4900-8807-060504030201", "Maria of hangar 12"
	a, b := sealed(t, k, seal.Parcel, epoch, 1, content), sealed(t, k, seal.Parcel, epoch, 1, content)
	if bytes.Equal(a, b) {
		t.Error("the same content looks the same twice")
	}
	raw := []byte{0x0f, 0x0e, 0x0d, 0x0c, 0x0b, 0x0a, 0x49}
	for _, secret := range [][]byte{[]byte("Maria"), []byte(epoch), raw} {
		if bytes.Contains(a, secret) {
			t.Errorf("the message shows %q", secret)
		}
	}
}

// Every bit of a message counts, whatever part of it holds the bit.
func TestChangedMessagesDoNotOpen(t *testing.T) {
	t.Parallel()
	k := keyring(t, 1)
	message := sealed(t, k, seal.Parcel, "epoch", 42, "content")
	for i := range len(message) * 8 {
		changed := bytes.Clone(message)
		changed[i/8] ^= 1 << (i % 8)
		if _, err := k.Open(changed, noon); !errors.Is(err, seal.ErrForged) && !errors.Is(err, seal.ErrVersion) {
			t.Errorf("bit %d was changed, and Open returned %v", i, err)
		}
	}
	for n := range len(message) {
		if _, err := k.Open(message[:n], noon); err == nil {
			t.Errorf("the first %d bytes opened", n)
		}
	}
	if _, err := k.Open(append(bytes.Clone(message), 0), noon); !errors.Is(err, seal.ErrForged) {
		t.Errorf("a longer message: %v", err)
	}
}

func TestKeysAreSeparate(t *testing.T) {
	t.Parallel()
	k := keyring(t, 1)
	message := sealed(t, k, seal.Parcel, "epoch", 42, "content")
	if _, err := keyring(t, 2).Open(message, noon); !errors.Is(err, seal.ErrForged) {
		t.Errorf("another installation: %v", err)
	}
	for days, opens := range map[int]bool{-400: false, -2: false, -1: true, 0: true, 1: true, 2: false, 400: false} {
		_, err := k.Open(message, noon.AddDate(0, 0, days))
		if opens && err != nil || !opens && !errors.Is(err, seal.ErrForged) {
			t.Errorf("opened %d days later: %v", days, err)
		}
	}
	if k.EpochID("epoch") == k.EpochID("epocH") || k.EpochID("epoch") == keyring(t, 2).EpochID("epoch") {
		t.Error("different epochs have one id")
	}
	if bytes.Equal(k.Derive("one", 16), k.Derive("another", 16)) {
		t.Error("different purposes have one key")
	}
}

func TestShortSecretIsRefused(t *testing.T) {
	t.Parallel()
	if _, err := seal.New(make([]byte, seal.SecretSize-1)); err == nil {
		t.Error("a short secret is good enough")
	}
}

// What a NOTIFY payload may hold at most, 7,500 bytes of text, is room for this much.
func TestTextOfAPayload(t *testing.T) {
	t.Parallel()
	content := base64.RawStdEncoding.DecodedLen(7500) - seal.Overhead
	message := sealed(t, keyring(t, 1), seal.Parcel, "epoch", 1, strings.Repeat("x", content))
	if text := base64.RawStdEncoding.EncodeToString(message); len(text) != 7500 {
		t.Errorf("a content of %d bytes is %d as text", content, len(text))
	}
}

// Many epochs and days by many goroutines: the keys that are kept change all the time.
func TestConcurrentUse(t *testing.T) {
	t.Parallel()
	k := keyring(t, 1)
	var group sync.WaitGroup
	for worker := range 8 {
		group.Go(func() {
			for i := range 50 {
				at := noon.AddDate(0, 0, i%3)
				content := fmt.Sprint(worker, i)
				message, err := k.Seal(seal.Kind(1+i%3), k.EpochID(fmt.Sprint(worker*i)), int64(i), []byte(content), at)
				if err != nil {
					t.Error(err)
					return
				}
				if got, err := k.Open(message, at); err != nil || string(got.Content) != content {
					t.Errorf("%q came back as %q: %v", content, got.Content, err)
				}
			}
		})
	}
	group.Wait()
}

func BenchmarkSeal(b *testing.B) {
	k, _ := seal.New(make([]byte, seal.SecretSize))
	content, epoch := make([]byte, 600), k.EpochID("epoch")
	for b.Loop() {
		message, err := k.Seal(seal.Parcel, epoch, 1, content, noon)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := k.Open(message, noon); err != nil {
			b.Fatal(err)
		}
	}
}
