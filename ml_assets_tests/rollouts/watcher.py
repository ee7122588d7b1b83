"""`python -m ml_assets_tests.rollouts.watcher DATA ACTOR SPEC TRACKING`: a sensor, in a process that may be killed."""

import sys
import time
from pathlib import Path

from ml_assets.spec.rollout import RolloutSpec
from ml_assets_tests.rollouts.live import LiveShop

if __name__ == "__main__":
    shop, said = LiveShop(Path(sys.argv[1]), sys.argv[4]), ""
    spec = RolloutSpec.model_validate_json(sys.argv[3])
    while True:
        reason = shop.look(sys.argv[2], spec).reason
        if reason != said:
            said = reason
            sys.stdout.write(f"{time.strftime('%H:%M:%S')} {reason}\n")
            sys.stdout.flush()
        time.sleep(0.3)
