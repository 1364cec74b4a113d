package api

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/lestrrat-go/jwx/v2/jwa"
	"github.com/lestrrat-go/jwx/v2/jwk"
	"github.com/lestrrat-go/jwx/v2/jws"
)

const (
	// maxKeySet is the most bytes of a key set that are read, and maxKeys the most keys
	// that are kept.
	maxKeySet = 1 << 20
	maxKeys   = 1024
	// maxTries is how many keys a token is tried with that does not name its own.
	maxTries = 64
	// minRSABits and maxRSABits bound the size of RSA keys (RFC 7518, section 3.3); larger ones
	// cost too much to verify with.
	minRSABits = 2048
	maxRSABits = 8192
)

// ed25519Algorithm is the name that RFC 9864 gives to EdDSA with this curve, which the
// library does not know yet.
const ed25519Algorithm = jwa.SignatureAlgorithm("Ed25519")

func init() {
	jwa.RegisterSignatureAlgorithm(ed25519Algorithm)
	jws.RegisterVerifier(ed25519Algorithm, jws.VerifierFactoryFn(func() (jws.Verifier, error) { return jws.NewVerifier(jwa.EdDSA) }))
}

// Algorithms of public keys that count (RFC 7518, section 3.1; RFC 8037; RFC 9864), by
// the kind of key.
var (
	rsaAlgorithms  = []jwa.SignatureAlgorithm{jwa.RS256, jwa.RS384, jwa.RS512, jwa.PS256}
	p256Algorithms = []jwa.SignatureAlgorithm{jwa.ES256}
	p384Algorithms = []jwa.SignatureAlgorithm{jwa.ES384}
	p521Algorithms = []jwa.SignatureAlgorithm{jwa.ES512}
	edAlgorithms   = []jwa.SignatureAlgorithm{jwa.EdDSA, ed25519Algorithm}
	publicKeyNames = "RS256, RS384, RS512, PS256, ES256, ES384, ES512, EdDSA or Ed25519"
)

// byPublicKey reports whether an algorithm is one of public keys that counts.
func byPublicKey(algorithm jwa.SignatureAlgorithm) bool {
	for _, kind := range [][]jwa.SignatureAlgorithm{rsaAlgorithms, p256Algorithms, p384Algorithms, p521Algorithms, edAlgorithms} {
		if slices.Contains(kind, algorithm) {
			return true
		}
	}
	return false
}

// publicKey is a key that verifies tokens of some algorithms.
type publicKey struct {
	id         string // "" for none
	algorithms []jwa.SignatureAlgorithm
	public     any
}

// keySet is what was published: the keys that count here, and how many there are in all.
type keySet struct {
	keys  []publicKey
	total int
}

// errNoKeySet is what a text is that holds no keys; what wraps it says what the text is instead.
var errNoKeySet = errors.New("no key set")

func notKeys(format string, args ...any) error {
	return fmt.Errorf("%w: it is "+format, append([]any{errNoKeySet}, args...)...)
}

// parseKeys reads a JWK Set (RFC 7517, section 5), a single JWK, PEM, or certificates by key id in
// JSON, as Google publishes them. A key of a kind that is unknown here takes nothing from the
// others. An error says what the text is instead.
func parseKeys(text []byte) (keySet, error) {
	text = bytes.TrimSpace(bytes.TrimPrefix(text, []byte("\ufeff")))
	switch {
	case len(text) == 0:
		return keySet{}, notKeys("empty")
	case bytes.HasPrefix(text, []byte("-----BEGIN")):
		return parsePEM(text)
	case text[0] == '<':
		return keySet{}, notKeys("a page in HTML or XML")
	}
	var object map[string]json.RawMessage
	if err := json.Unmarshal(text, &object); err != nil {
		return keySet{}, notKeys("neither JSON nor PEM")
	}
	var list []json.RawMessage
	switch {
	case json.Unmarshal(object["keys"], &list) == nil:
	case object["jwks_uri"] != nil:
		return keySet{}, discovered(object["jwks_uri"])
	case object["kty"] != nil:
		list = []json.RawMessage{text}
	default:
		return parseCertificates(object)
	}
	set := keySet{total: len(list)}
	for _, one := range list {
		if key, ok := parseKey(one); ok && len(set.keys) < maxKeys {
			set.keys = append(set.keys, key)
		}
	}
	return set, nil
}

// discovered says that a discovery document came (OpenID Connect Discovery 1.0, section
// 3), and where the keys are.
func discovered(member json.RawMessage) error {
	var address string
	u, err := &url.URL{}, json.Unmarshal(member, &address)
	if err == nil {
		u, err = url.Parse(address)
	}
	if err != nil || u.Host == "" {
		return notKeys("a discovery document without a usable jwks_uri")
	}
	return notKeys("a discovery document: set JWKS_URL to its jwks_uri, %s", (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}).String())
}

// parseKey reads one JWK, if it is one that verifies signatures of an algorithm that counts here.
func parseKey(text []byte) (publicKey, bool) {
	key, err := jwk.ParseKey(text)
	if err != nil {
		return parseChain(text)
	}
	if use := key.KeyUsage(); use != "" && use != string(jwk.ForSignature) {
		return publicKey{}, false
	}
	if uses := key.KeyOps(); len(uses) > 0 && !slices.Contains(uses, jwk.KeyOpVerify) {
		return publicKey{}, false
	}
	public, err := key.PublicKey()
	if err != nil {
		return publicKey{}, false
	}
	var raw any
	if err := public.Raw(&raw); err != nil {
		return publicKey{}, false
	}
	return usable(raw, key.KeyID(), key.Algorithm().String())
}

// parseChain reads a JWK that holds its key in a certificate alone (RFC 7517, section 4.7).
func parseChain(text []byte) (publicKey, bool) {
	var key struct {
		ID        string   `json:"kid"`
		Use       string   `json:"use"`
		Algorithm string   `json:"alg"`
		Chain     []string `json:"x5c"`
	}
	if json.Unmarshal(text, &key) != nil || len(key.Chain) == 0 || key.Use != "" && key.Use != string(jwk.ForSignature) {
		return publicKey{}, false
	}
	der, err := base64.StdEncoding.DecodeString(key.Chain[0])
	if err != nil {
		return publicKey{}, false
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		return publicKey{}, false
	}
	return usable(certificate.PublicKey, key.ID, key.Algorithm)
}

// usable returns a public key with the algorithms that it may verify: all of its kind, or
// the one that it names.
func usable(raw any, id, named string) (publicKey, bool) {
	key := publicKey{id: id, public: raw}
	switch k := raw.(type) {
	case *rsa.PublicKey:
		if bits := k.N.BitLen(); bits < minRSABits || bits > maxRSABits {
			return publicKey{}, false
		}
		key.algorithms = rsaAlgorithms
	case *ecdsa.PublicKey:
		switch k.Curve {
		case elliptic.P256():
			key.algorithms = p256Algorithms
		case elliptic.P384():
			key.algorithms = p384Algorithms
		case elliptic.P521():
			key.algorithms = p521Algorithms
		}
	case ed25519.PublicKey:
		key.algorithms = edAlgorithms
	default: // a secret, or one for encryption
		return publicKey{}, false
	}
	algorithm := jwa.SignatureAlgorithm(named)
	switch {
	case slices.Contains(edAlgorithms, algorithm) && slices.Contains(key.algorithms, algorithm):
		// one by two names
	case named != "" && !slices.Contains(key.algorithms, algorithm):
		return publicKey{}, false
	case named != "":
		key.algorithms = []jwa.SignatureAlgorithm{algorithm}
	}
	return key, len(key.algorithms) > 0
}

// parsePEM reads public keys and certificates (RFC 7468). They have no ids: a token may name any.
func parsePEM(text []byte) (keySet, error) {
	var set keySet
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		var raw any
		var err error
		switch {
		case block.Type == "PUBLIC KEY":
			raw, err = x509.ParsePKIXPublicKey(block.Bytes)
		case block.Type == "RSA PUBLIC KEY":
			raw, err = x509.ParsePKCS1PublicKey(block.Bytes)
		case block.Type == "CERTIFICATE":
			var certificate *x509.Certificate
			if certificate, err = x509.ParseCertificate(block.Bytes); err == nil {
				raw = certificate.PublicKey
			}
		case strings.HasSuffix(block.Type, "PRIVATE KEY"):
			return keySet{}, notKeys("PEM with a private key: give the public one alone, and keep the private one where tokens are signed")
		default:
			continue
		}
		if err != nil {
			return keySet{}, notKeys("PEM whose block %s is damaged", block.Type)
		}
		set.total++
		if key, ok := usable(raw, "", ""); ok && len(set.keys) < maxKeys {
			set.keys = append(set.keys, key)
		}
	}
	if set.total == 0 {
		return keySet{}, notKeys("PEM without a whole public key")
	}
	return set, nil
}

// parseCertificates reads an object whose members are certificates in PEM, by key id.
func parseCertificates(object map[string]json.RawMessage) (keySet, error) {
	var set keySet
	for id, member := range object {
		var text string
		if json.Unmarshal(member, &text) != nil || !strings.HasPrefix(text, "-----BEGIN CERTIFICATE") {
			return keySet{}, notKeys("JSON without keys")
		}
		one, err := parsePEM([]byte(text))
		if err != nil {
			return keySet{}, err
		}
		for _, key := range one.keys {
			key.id = id
			set.keys = append(set.keys, key)
		}
		set.total += one.total
	}
	if set.total == 0 {
		return keySet{}, notKeys("an empty object")
	}
	return set, nil
}
