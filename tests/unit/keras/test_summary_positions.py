"""`summary(positions=...)` with more positions than columns, as Keras 2.15 shows it."""

import shardtape as tf

layers = tf.keras.layers
EXPECTED = """\
 Layer (type)           Output Shape      Param #     
============================================================
 dd (Dense)             (None, 3)         21          
                                                            
 ee (Dense)             (None, 2)         8           
"""


def test_positions_without_a_column():
    model = tf.keras.Sequential(
        [layers.Dense(3, input_shape=(6,), name="dd"), layers.Dense(2, name="ee")]
    )
    lines = []
    model.summary(line_length=60, positions=[0.4, 0.7, 0.9, 1.0], print_fn=lines.append)
    assert "\n".join(lines[2:7]) + "\n" == EXPECTED
