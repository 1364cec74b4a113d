package handlers

import (
	"fmt"
	"net/url"
	"strconv"
	"time"
)

// limitParam returns how many rows a request asks for, or otherwise where it does not say.
func limitParam(asked url.Values, otherwise, most int) (int, error) {
	text := asked.Get("limit")
	if text == "" {
		return otherwise, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > most {
		return 0, Invalid("limit", fmt.Sprintf("limit must be a whole number from 1 to %d", most))
	}
	return n, nil
}

// dateExamples are what the ends of a range of days look like.
var dateExamples = map[string]string{"from": "2026-03-12", "to": "2026-03-26, the first one that is no longer wanted"}

// dateParam returns an end of a range of days, or otherwise where a request does not say.
func dateParam(asked url.Values, name string, otherwise time.Time) (time.Time, error) {
	text := asked.Get(name)
	if text == "" {
		return otherwise, nil
	}
	date, err := time.Parse(time.DateOnly, text)
	if err != nil {
		return date, Invalid(name, name+" must be a date like "+dateExamples[name])
	}
	return date, nil
}
