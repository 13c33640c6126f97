"""Writes the fixtures of this folder with cmapPy 4.0.1, to prove that its files open here.

The values are drawn at random; nothing is measured. cmapPy's writer needs an old numpy and pandas, so this runs in an
environment of its own:

    python3 -m venv /tmp/cmappy
    /tmp/cmappy/bin/pip install cmapPy==4.0.1 'numpy<2' 'pandas<2.2' h5py
    /tmp/cmappy/bin/python tests/io/make_cmappy_fixtures.py

The same script checks files of ours with cmapPy, for `test_cmappy.py`:

    /tmp/cmappy/bin/python tests/io/make_cmappy_fixtures.py --read FILE...    prints what cmapPy sees, as JSON
"""

import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd
from cmapPy.pandasGEXpress import GCToo, parse, write_gct, write_gctx

HERE = Path(__file__).parent / "fixtures"


def tables():
    """Values (genes x samples) and metadata of either side, with gaps that cmapPy writes as -666."""
    random = np.random.default_rng(20160406)
    genes = ["200814_at", "218597_s_at", "214404_x_at", "ENSG00000175063.12", "780", "AFFX-BioB-5_at"]
    samples = [f"CPC006_A375_6H_X1:A0{i}" for i in range(1, 6)]
    values = pd.DataFrame(
        random.uniform(4, 15, (7, 5)).astype(np.float32).round(4), index=[*genes, "TP53"], columns=samples
    )
    values.iloc[2, 3] = -666.0  # a value of the matrix, never a missing one
    values.iloc[0, 0] = 0.0
    rows = pd.DataFrame({"pr_is_lm": [1, 1, 0, -666, 1, 0, 1]}, index=values.index)
    columns = pd.DataFrame(
        {
            "cell_id": ["A375", "A375", "007", np.nan, "PC3"],
            "pert_dose": np.array([10.0, 0.5, -666, 3.3, 1e-3], np.float32),
            "count": np.array([72, 70, 69, 68, 2**40], np.int64),
        },
        index=values.columns,
    )
    return values, rows, columns


def gctoo():
    """The tables as cmapPy's own object, fresh every time, since its writers change it."""
    values, rows, columns = tables()
    return GCToo.GCToo(data_df=values, row_metadata_df=rows, col_metadata_df=columns, src="simulated")


def plain():
    """No metadata at all."""
    values, rows, columns = tables()
    return GCToo.GCToo(data_df=values, row_metadata_df=rows[[]], col_metadata_df=columns[[]], src="simulated")


def write():
    """Write all fixtures."""
    HERE.mkdir(exist_ok=True)
    write_gctx.write(gctoo(), str(HERE / "cmappy_typed.gctx"))
    write_gctx.write(plain(), str(HERE / "cmappy_double.gctx"), matrix_dtype=np.float64, gzip_compression_level=9)
    write_gctx.write(plain(), str(HERE / "cmappy_plain.gctx"))
    write_gct.write(gctoo(), str(HERE / "cmappy_typed.gct"), data_float_format=None)
    write_gct.write(plain(), str(HERE / "cmappy_plain.gct"), data_float_format="%.4f")


def read(paths):
    """Print what cmapPy finds in files."""
    found = {}
    for path in paths:
        seen = parse.parse(path)
        found[path] = {
            "genes": list(seen.data_df.index),
            "samples": list(seen.data_df.columns),
            "values": seen.data_df.astype(float).values.tolist(),
            "gene_metadata": json.loads(seen.row_metadata_df.reset_index(drop=True).to_json()),
            "sample_metadata": json.loads(seen.col_metadata_df.reset_index(drop=True).to_json()),
            "version": seen.version if isinstance(seen.version, str) else seen.version.decode(),
        }
    print(json.dumps(found))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--read"]:
        read(sys.argv[2:])
    else:
        write()
