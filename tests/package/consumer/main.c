/* One query between two keys that it likes alike: the mean of their values. Then a call that makes
 * no sense, which must be refused in words. */
#include <headlight/attention_c.h>
#include <stdio.h>
#include <string.h>

int main(void) {
  const float q[2] = {1, 0}, k[4] = {0, 1, 0, -1}, v[4] = {1, 10, 3, 30};
  float out[2] = {0, 0};
  headlight_forward call = {.shape = {.batch = 1,
                                      .heads = 1,
                                      .kv_heads = 1,
                                      .queries = 1,
                                      .keys = 2,
                                      .head_dim = 2,
                                      .value_dim = 2},
                            .q = {.data = q, .row_stride = 2},
                            .k = {.data = k, .row_stride = 2},
                            .v = {.data = v, .row_stride = 2},
                            .out = {.data = out, .row_stride = 2}};
  if (headlight_attention_forward(HEADLIGHT_FLOAT32, &call, NULL, NULL) != HEADLIGHT_OK) {
    fprintf(stderr, "%s\n", headlight_last_error());
    return 1;
  }
  printf("%g %g\n", out[0], out[1]);
  call.shape.heads = 0;
  const int status = headlight_attention_forward(HEADLIGHT_FLOAT32, &call, NULL, NULL);
  const int refused = status == HEADLIGHT_WRONG_USAGE && strstr(headlight_last_error(), "heads");
  return out[0] == 2 && out[1] == 20 && refused ? 0 : 1;
}
