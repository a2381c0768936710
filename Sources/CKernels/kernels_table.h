// The table of one instruction set, after kernels_template.h. CONV_ROWS and PAIR may be defined before.
#ifndef CONV_ROWS
#define CONV_ROWS conv_rows
#define PAIR 1
#endif

const struct ck_table NAME(ck_table) = {
    .vector = VECTOR,
    .max_block = MAX_BLOCK,
    .pair = PAIR,
    .conv_rows = CONV_ROWS,
    .linear_rows = linear_rows,
    .fga_rows = fga_rows,
    .attention_items = attention_items,
    .upsample_rows = upsample_rows,
    .max_pool_rows = max_pool_rows,
    .average_pool_rows = average_pool_rows,
    .layer_norm_rows = layer_norm_rows,
    .bias_gelu_rows = bias_gelu_rows,
    .bias_add_rows = bias_add_rows,
    .softmax_rows = softmax_rows,
    .unsure_items = unsure_items,
    .sigmoid_plane_rows = sigmoid_plane_rows,
    .sigmoid_items = sigmoid_items,
};
