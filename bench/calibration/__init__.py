"""The calibration error of `corruptor generate --cer`."""
