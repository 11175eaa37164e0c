mkdir -p /tmp/nbrec
for n in translation generation vision your-own-model image-generation; do
 /usr/bin/time -f "$n %es" timeout 200 /work/wt/py -m jupyter nbconvert --to notebook --execute notebooks/$n.ipynb --output-dir /tmp/nbrec >/tmp/nbrec/$n.log 2>&1; echo "$n rc=$?" >> /tmp/nbrec/done; done
