package handlers

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
)

// MaxBody is the most bytes of a request's body. A longer one is refused before it is served.
const MaxBody = 16 << 10

// RespondJSON answers with a value as JSON that no cache keeps.
func RespondJSON(w http.ResponseWriter, status int, value any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(value)
}

// readBody reads a request's body as JSON into value; wanted says what it should look like. An
// empty body leaves value as it is.
func readBody(r *http.Request, value any, wanted string) error {
	err := json.NewDecoder(r.Body).Decode(value)
	if err != nil && !errors.Is(err, io.EOF) {
		return Invalid("body", "the body must be "+wanted)
	}
	return nil
}
