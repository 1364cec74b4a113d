package api

import "log/slog"

// reservedFiles are the file descriptors that connections leave for everything else: the database's
// connections, the admin port's, listeners, certificates, the log.
const reservedFiles = 160

// leastWithoutStream is how many connections without a stream there are room for however few file
// descriptors there are: REST, and the heads of those who come.
const leastWithoutStream = 16

// Fit raises the process's limit of file descriptors as far as it may, and returns limits that keep
// within it. When the limit is lower than the settings need it says so: without room for a new
// connection nobody is served, and nothing in the program could change that any more.
func (l Limits) Fit(log *slog.Logger) Limits {
	files, ok := raiseOpenFiles(l.files())
	if !ok {
		return l
	}
	fitting := l.within(files)
	if need := l.files(); l.MaxConnections > 0 && files < need {
		log.Warn("the limit of open files is lower than MAX_CONNECTIONS and MAX_CONNECTIONS_WITHOUT_STREAM need: "+
			"raise it (ulimit -n, LimitNOFILE=), or lower them", "limit", files, "needed", need,
			"connections", fitting.MaxConnections, "connections_without_stream", fitting.MaxConnectionsWithoutStream)
	}
	return fitting
}

// files is how many file descriptors the limits need, 0 where they are none.
func (l Limits) files() int {
	if l.MaxConnections <= 0 {
		return 0
	}
	return l.MaxConnections + l.MaxConnectionsWithoutStream + reservedFiles
}

// within shares out as many file descriptors as there are. Streams get three of four.
func (l Limits) within(files int) Limits {
	available := max(files-reservedFiles, 2*leastWithoutStream)
	rest := max(available/4, leastWithoutStream)
	if l.MaxConnectionsWithoutStream <= 0 || l.MaxConnectionsWithoutStream > rest && l.MaxConnections+l.MaxConnectionsWithoutStream > available {
		l.MaxConnectionsWithoutStream = rest
	}
	if streams := available - l.MaxConnectionsWithoutStream; l.MaxConnections <= 0 || l.MaxConnections > streams {
		l.MaxConnections = max(streams, 1)
	}
	return l
}
