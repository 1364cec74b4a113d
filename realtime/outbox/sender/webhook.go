package sender

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/hangarshare/hangarshare-realtime/realtime/outbox"
)

// minWebhookSecret is the fewest bytes of a secret (Standard Webhooks).
const minWebhookSecret = 24

// Webhook gives mail to the portal, which sends it by itself: one POST for each, signed as Standard
// Webhooks wants it (standardwebhooks.com). The address is the operator's own, so any is allowed.
type Webhook struct {
	address string
	secrets [][]byte
	client  *http.Client
}

// NewWebhook returns a Webhook. A secret is base64, with or without whsec_ before it; of several,
// with spaces between, each signs, so that the portal may go from one to the next at any time.
func NewWebhook(address, secrets string) (*Webhook, error) {
	w := &Webhook{address: address}
	for secret := range strings.FieldsSeq(secrets) {
		key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
		if err != nil || len(key) < minWebhookSecret {
			w.secrets = nil
			break
		}
		w.secrets = append(w.secrets, key)
	}
	if len(w.secrets) == 0 {
		return nil, fmt.Errorf("NOTIFY_WEBHOOK_SECRET must be whsec_ and at least %d bytes in base64, for example from `echo whsec_$(openssl rand -base64 32)`", minWebhookSecret)
	}
	dialer := net.Dialer{Timeout: httpTimeout}
	w.client = newClient(dialer.DialContext)
	return w, nil
}

// webhookBody is what the portal gets.
type webhookBody struct {
	Type      string      `json:"type"`
	Timestamp string      `json:"timestamp"`
	Data      webhookData `json:"data"`
}

type webhookData struct {
	UserID      string        `json:"userId"`
	Email       string        `json:"email"`
	Name        string        `json:"name"`
	OwnerID     string        `json:"ownerId,omitempty"`
	Kind        string        `json:"kind"`
	Language    string        `json:"language"`
	Subject     string        `json:"subject"`
	Text        string        `json:"text"`
	HTML        string        `json:"html"`
	Link        string        `json:"link,omitempty"`
	Unsubscribe string        `json:"unsubscribe,omitempty"`
	Lines       []webhookLine `json:"lines,omitempty"`
}

type webhookLine struct {
	Title string `json:"title"`
	Body  string `json:"body,omitempty"`
	Link  string `json:"link,omitempty"`
}

// AtOnce implements outbox.Bounded: a portal that takes its time leaves room for push messages.
func (*Webhook) AtOnce() int { return webhookAtOnce }

// Host implements outbox.Sender.
func (*Webhook) Host(outbox.Message) string { return "webhook" }

// Send implements outbox.Sender.
func (w *Webhook) Send(ctx context.Context, m outbox.Message) outbox.Result {
	ctx, cancel := context.WithTimeout(ctx, httpTimeout)
	defer cancel()
	subject, plain, html, err := compose(m)
	if err != nil {
		return outbox.Result{Status: outbox.Refused, Err: err}
	}
	now := time.Now()
	data := webhookData{
		UserID: m.UserID, Email: m.Address, Name: m.Name, OwnerID: m.OwnerID, Kind: m.Kind, Language: m.Language,
		Subject: subject, Text: plain, HTML: html, Link: m.Link, Unsubscribe: m.Unsubscribe,
	}
	for _, line := range m.Lines {
		data.Lines = append(data.Lines, webhookLine(line))
	}
	body, err := json.Marshal(webhookBody{"notification.mail", now.UTC().Format(time.RFC3339), data})
	if err != nil {
		return outbox.Result{Status: outbox.Refused, Err: err}
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, w.address, bytes.NewReader(body))
	if err != nil {
		return outbox.Result{Status: outbox.Refused, Err: errors.New("NOTIFY_WEBHOOK_URL is malformed")}
	}
	at := strconv.FormatInt(now.Unix(), 10)
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Webhook-Id", m.ID) // the same on a repeat, by which the portal knows it
	request.Header.Set("Webhook-Timestamp", at)
	request.Header.Set("Webhook-Signature", w.sign(m.ID, at, body))
	response, err := w.client.Do(request)
	if err != nil {
		return outbox.Result{Status: outbox.Again, Err: withoutAddress(err)}
	}
	skipBody(response, cancel)
	return webhookResult(response)
}

// webhookResult says what a portal's status means. By Standard Webhooks whatever is not 2xx may
// work later: what one version of a portal refuses the next may take, and nothing else keeps the
// mail.
func webhookResult(response *http.Response) outbox.Result {
	r := pushResult(response)
	r.Doubtful = false // one secret is for all
	switch code := response.StatusCode; {
	case r.Status == outbox.Sent:
	case code >= 300 && code < 400, code == http.StatusNotFound, code == http.StatusMethodNotAllowed:
		// NOTIFY_WEBHOOK_URL is not where the portal takes them: every mail would be refused
		r.Status = outbox.Ours
	case code == http.StatusGone:
		// the portal wants no more (Standard Webhooks); its operator has to say so here
		r.Status = outbox.Ours
	case code == http.StatusRequestEntityTooLarge:
		r.Status = outbox.Refused
	case r.Status != outbox.Ours:
		r.Status, r.RetryAfter = outbox.Again, retryAfter(response.Header.Get("Retry-After"), time.Now())
	}
	return r
}

// sign returns the signatures of a body, as the header has them.
func (w *Webhook) sign(id, at string, body []byte) string {
	var signatures []string
	for _, secret := range w.secrets {
		mac := hmac.New(sha256.New, secret)
		mac.Write([]byte(id + "." + at + "."))
		mac.Write(body)
		signatures = append(signatures, "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	}
	return strings.Join(signatures, " ")
}
