import sys; sys.path.insert(0, '/tmp/scratch/translate')
import numpy as np, nengo, warnings; warnings.simplefilter('ignore')
from nets import NETS
from spikec.nengo import Simulator
net = NETS['seeds']()
for S in (nengo.Simulator, nengo.Simulator, Simulator, Simulator):
    with S(net, progress_bar=False) as s:
        s.run_steps(50); print([float(np.abs(s.data[p]).sum()) for p in net.all_probes], [float(s.data[c].weights.sum()) for c in net.all_connections], [float(s.data[e].bias.sum()) for e in net.all_ensembles], {str(o): v for o, v in s.model.seeds.items()})
