package handlers

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
)

// maxBody is the most bytes of a request's body that are read.
const maxBody = 4 << 10

// RespondJSON answers with a value as JSON that no cache keeps.
func RespondJSON(w http.ResponseWriter, status int, value any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(value)
}

// readBody reads a request's body as JSON into value; wanted says what it should look like. An
// empty body leaves value as it is.
func readBody(w http.ResponseWriter, r *http.Request, value any, wanted string) error {
	err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody)).Decode(value)
	if err != nil && !errors.Is(err, io.EOF) {
		return Invalid("body", "the body must be "+wanted)
	}
	return nil
}
