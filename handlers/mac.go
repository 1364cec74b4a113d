package handlers

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"strings"
)

// macBytes is how many bytes of the HMAC a signed text carries (RFC 2104, section 5).
const macBytes = 16

// encoding is that of signed texts: one text for one value.
var encoding = base64.RawURLEncoding.Strict()

// MAC signs short texts that clients keep for us, with HMAC-SHA256 under a key of its own. What we
// did not sign is known by its looks alone, without a question to the database.
type MAC struct{ key []byte }

// NewMAC returns a MAC under a secret; without one nothing is signed, and no text is ours.
func NewMAC(secret []byte) MAC {
	if len(secret) == 0 {
		return MAC{}
	}
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte("hangarshare-realtime seal"))
	return MAC{mac.Sum(nil)}
}

// sign returns parts as one text that verify returns for the same purpose.
func (s MAC) sign(purpose string, parts ...string) string {
	var b strings.Builder
	for _, part := range parts {
		b.WriteString(encoding.EncodeToString([]byte(part)))
		b.WriteByte('.')
	}
	return b.String() + encoding.EncodeToString(s.sum(purpose, b.String()))
}

// verify returns the parts of a text that was signed for a purpose.
func (s MAC) verify(purpose, text string) (parts []string, ok bool) {
	end := strings.LastIndexByte(text, '.') + 1
	sum, err := encoding.DecodeString(text[end:])
	if err != nil || len(s.key) == 0 || !hmac.Equal(sum, s.sum(purpose, text[:end])) {
		return nil, false
	}
	for part := range strings.SplitSeq(strings.TrimSuffix(text[:end], "."), ".") {
		plain, err := encoding.DecodeString(part)
		if err != nil {
			return nil, false
		}
		parts = append(parts, string(plain))
	}
	return parts, true
}

func (s MAC) sum(purpose, text string) []byte {
	mac := hmac.New(sha256.New, s.key)
	mac.Write([]byte(purpose + "\x00" + text))
	return mac.Sum(nil)[:macBytes]
}
