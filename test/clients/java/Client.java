import java.io.BufferedReader;
import java.io.FileInputStream;
import java.io.InputStreamReader;
import java.net.URI;
import java.net.URLEncoder;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.net.http.WebSocket;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.security.KeyStore;
import java.security.cert.CertificateFactory;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.CountDownLatch;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import javax.net.ssl.SSLContext;
import javax.net.ssl.TrustManagerFactory;

/** The JDK's own client, with no library beside it: "ws" or "sse". */
public class Client {
  static final String base = System.getenv("BASE"), owner = System.getenv("OWNER"), token = System.getenv("TOKEN"), way = System.getenv("WAY");
  static final HttpClient client = client();
  static volatile String last = "";
  static volatile boolean closing;
  static volatile WebSocket socket;

  public static void main(String[] arguments) throws Exception {
    Thread commands = new Thread(Client::obey);
    commands.setDaemon(true);
    commands.start();
    while (!closing) {
      try {
        if (arguments[0].equals("ws")) webSocket(); else events();
      } catch (Exception away) {
        // it is tried again
      }
      Thread.sleep((long) (Math.random() * 1000));
    }
  }

  // example: A JSON library reads the two fields better than these patterns
  static final Pattern id = Pattern.compile("^\\{\"id\":\"([^\"]+)\""), start = Pattern.compile("\"lastEventId\":\"([^\"]*)\"");

  static void webSocket() throws Exception {
    CountDownLatch ended = new CountDownLatch(1);
    StringBuilder text = new StringBuilder();
    WebSocket.Builder builder = client.newWebSocketBuilder();
    if (way.equals("cookie")) builder.header("Cookie", "jwt=" + token); // for the test
    if (way.equals("header")) // for the test
    builder.header("Authorization", "Bearer " + token);
    if (way.equals("protocol")) builder.subprotocols("hangarshare.v1", "bearer." + token); // for the test
    socket = builder.buildAsync(URI.create(address("/api/ws").replaceFirst("http", "ws")), new WebSocket.Listener() {
      @Override public CompletionStage<?> onText(WebSocket ws, CharSequence part, boolean whole) {
        text.append(part);
        if (whole) {
          message(text.toString());
          text.setLength(0);
        }
        ws.request(1);
        return null;
      }
      @Override public CompletionStage<?> onPong(WebSocket ws, ByteBuffer data) { // for the test
        System.out.println("{\"pong\":true}"); // for the test
        ws.request(1); // for the test
        return null; // for the test
      } // for the test

      @Override public CompletionStage<?> onClose(WebSocket ws, int code, String reason) {
        System.out.println("{\"ended\":" + code + "}"); // for the test
        ended.countDown();
        return null;
      }

      @Override public void onError(WebSocket ws, Throwable error) {
        System.out.println("{\"ended\":0}"); // for the test
        ended.countDown();
      }
    }).join();
    if (way.equals("message")) // for the test
      socket.sendText("{\"type\":\"auth\",\"ownerId\":\"" + owner + "\",\"token\":\"" + token + "\"}", true).join(); // for the test
    ended.await();
  }

  static void message(String text) {
    Matcher position = text.contains("\"type\":\"connection_established\"") ? start.matcher(text) : id.matcher(text);
    if (position.find()) last = position.group(1);
    show(text);
  }
  // end of example

  static void show(String text) {
    System.out.println("{\"got\":" + text + "}");
  }

  static void events() throws Exception {
    HttpRequest.Builder request = HttpRequest.newBuilder(URI.create(address("/api/sse"))).header("Last-Event-ID", last);
    request.header(way.equals("cookie") ? "Cookie" : "Authorization", (way.equals("cookie") ? "jwt=" : "Bearer ") + token);
    HttpResponse<java.util.stream.Stream<String>> response = client.send(request.build(), HttpResponse.BodyHandlers.ofLines());
    try (java.util.stream.Stream<String> lines = response.body()) {
      lines.forEach(line -> {
        if (line.startsWith("id:")) last = line.substring(3).strip();
        if (line.startsWith("data:")) System.out.println("{\"got\":" + line.substring(5).strip() + "}");
      });
    } finally {
      System.out.println("{\"ended\":0}");
    }
  }

  static String address(String path) {
    return base + path + "?ownerId=" + owner + "&lastEventId=" + URLEncoder.encode(last, StandardCharsets.UTF_8);
  }

  static void obey() {
    try (BufferedReader lines = new BufferedReader(new InputStreamReader(System.in))) {
      for (String line; (line = lines.readLine()) != null; ) {
        if (line.equals("ping") && socket != null) socket.sendPing(ByteBuffer.allocate(0));
        if (!line.equals("close")) continue;
        closing = true;
        if (socket != null) {
          socket.sendClose(1000, "");
        } else {
          System.out.println("{\"ended\":0}");
          System.exit(0);
        }
      }
    } catch (Exception gone) {
      System.exit(1);
    }
  }

  static HttpClient client() {
    try {
      String file = System.getenv("CA_FILE");
      if (file == null || file.isEmpty()) return HttpClient.newHttpClient();
      KeyStore store = KeyStore.getInstance(KeyStore.getDefaultType());
      store.load(null);
      try (FileInputStream input = new FileInputStream(file)) {
        store.setCertificateEntry("test", CertificateFactory.getInstance("X.509").generateCertificate(input));
      }
      TrustManagerFactory trust = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
      trust.init(store);
      SSLContext context = SSLContext.getInstance("TLS");
      context.init(null, trust.getTrustManagers(), null);
      return HttpClient.newBuilder().sslContext(context).build();
    } catch (Exception wrong) {
      throw new IllegalStateException(wrong);
    }
  }
}
