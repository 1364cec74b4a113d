# faye-websocket on EventMachine.
require 'cgi'
require 'eventmachine'
require 'faye/websocket'
require 'json'

$stdout.sync = true
BASE, OWNER, TOKEN, WAY = ENV.values_at('BASE', 'OWNER', 'TOKEN', 'WAY')
HEADERS = { 'header' => { 'Authorization' => "Bearer #{TOKEN}" }, 'cookie' => { 'Cookie' => "jwt=#{TOKEN}" } }.fetch(WAY, {})
PROTOCOLS = WAY == 'protocol' ? ['hangarshare.v1', "bearer.#{TOKEN}"] : ['hangarshare.v1']
$last = ''
$closing = false

def tell(what) = puts(JSON.generate(what))
def show(message) = tell(got: message)

# example: `HEADERS` holds Authorization, as Bearer and the token
def connect
  address = "#{BASE}/api/ws?ownerId=#{OWNER}&lastEventId=#{CGI.escape($last)}".sub(/^http/, 'ws')
  $socket = Faye::WebSocket::Client.new(address, PROTOCOLS, headers: HEADERS, tls: { root_cert_file: ENV['CA_FILE'] })
  $socket.on(:message) do |event|
    message = JSON.parse(event.data)
    $last = message['data']['lastEventId'] if message['type'] == 'connection_established'
    $last = message['id'] if message['id']
    show(message)
  end
  $socket.on(:close) do |event|
    tell(ended: event.code) # for the test
    EM.add_timer(rand) { connect } unless [4400, 4401, 4403].include?(event.code) || $closing
  end
  $socket.on(:open) { $socket.send(JSON.generate(type: 'auth', ownerId: OWNER, token: TOKEN)) if WAY == 'message' } # for the test
end
# end of example

# Lines of the test.
module Commands
  include EM::Protocols::LineText2

  def receive_line(line)
    $socket.ping('') { tell(pong: true) } if line == 'ping'
    return unless line == 'close'

    $closing = true
    $socket.close
  end
end

EM.run do
  connect
  EM.open_keyboard(Commands)
end
