import com.amazonaws.services.lambda.runtime.Context;
import com.amazonaws.services.lambda.runtime.RequestHandler;
import java.util.HashMap;
import java.util.Map;

/** Echoes its event through the official Java runtime client. */
public class Echo implements RequestHandler<Map<String, Object>, Map<String, Object>> {
  @Override
  public Map<String, Object> handleRequest(Map<String, Object> event, Context context) {
    if (event.get("fail") != null) throw new IllegalStateException(event.get("fail").toString());
    Map<String, Object> answer = new HashMap<>();
    answer.put("echo", event);
    answer.put("request_id", context.getAwsRequestId());
    return answer;
  }
}
