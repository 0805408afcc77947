// BouncyCastle as judge. Lines on standard input, one answer a line on standard output: yes, no, or what went wrong.
//   sm2 <spki> <data> <signature>       hex; an SM2 signature with SM3 and the identity of GM/T 0009
//   link <certificate> <issuer>         hex; is the certificate signed by the issuer's key
//   crl <list> <issuer> <serial>        hex; signed by the issuer, and revoked or good
//   cms <certificate> <content> <cms>   hex; a detached CMS of one signer, by this certificate
//   sign <data>                         a fresh key: spki and signature, hex
import java.io.*;
import java.security.*;
import java.security.cert.*;
import java.security.spec.*;
import java.util.HexFormat;
import org.bouncycastle.cert.X509CertificateHolder;
import org.bouncycastle.cms.*;
import org.bouncycastle.cms.jcajce.JcaSimpleSignerInfoVerifierBuilder;
import org.bouncycastle.jcajce.spec.SM2ParameterSpec;
import org.bouncycastle.jce.provider.BouncyCastleProvider;

public class Judge {
  static final HexFormat HEX = HexFormat.of();
  static final byte[] ID = "1234567812345678".getBytes();

  static X509Certificate certificate(String hex) throws Exception {
    return (X509Certificate) CertificateFactory.getInstance("X.509", "BC")
        .generateCertificate(new ByteArrayInputStream(HEX.parseHex(hex)));
  }

  static boolean sm2(String spki, String data, String signature) throws Exception {
    PublicKey key = KeyFactory.getInstance("EC", "BC").generatePublic(new X509EncodedKeySpec(HEX.parseHex(spki)));
    Signature s = Signature.getInstance("SM3withSM2", "BC");
    s.setParameter(new SM2ParameterSpec(ID));
    s.initVerify(key);
    s.update(HEX.parseHex(data));
    return s.verify(HEX.parseHex(signature));
  }

  static String sign(String data) throws Exception {
    KeyPairGenerator maker = KeyPairGenerator.getInstance("EC", "BC");
    maker.initialize(new ECGenParameterSpec("sm2p256v1"));
    KeyPair pair = maker.generateKeyPair();
    Signature s = Signature.getInstance("SM3withSM2", "BC");
    s.setParameter(new SM2ParameterSpec(ID));
    s.initSign(pair.getPrivate());
    s.update(HEX.parseHex(data));
    return HEX.formatHex(pair.getPublic().getEncoded()) + " " + HEX.formatHex(s.sign());
  }

  static String crl(String list, String issuer, String serial) throws Exception {
    X509CRL crl = (X509CRL) CertificateFactory.getInstance("X.509", "BC")
        .generateCRL(new ByteArrayInputStream(HEX.parseHex(list)));
    crl.verify(certificate(issuer).getPublicKey(), "BC");
    return crl.getRevokedCertificate(new java.math.BigInteger(serial, 16)) == null ? "good" : "revoked";
  }

  static boolean cms(String certificate, String content, String cms) throws Exception {
    CMSSignedData data = new CMSSignedData(new CMSProcessableByteArray(HEX.parseHex(content)), HEX.parseHex(cms));
    if (data.getSignerInfos().size() != 1) return false;
    X509CertificateHolder holder = new X509CertificateHolder(HEX.parseHex(certificate));
    SignerInformation one = data.getSignerInfos().getSigners().iterator().next();
    if (!one.getSID().match(holder)) return false;
    try {
      return one.verify(new JcaSimpleSignerInfoVerifierBuilder().setProvider("BC").build(holder));
    } catch (CMSException wrong) {
      return false;
    }
  }

  static String answer(String[] w) {
    try {
      switch (w[0]) {
        case "sm2": return sm2(w[1], w[2], w[3]) ? "yes" : "no";
        case "sign": return sign(w[1]);
        case "crl": return crl(w[1], w[2], w[3]);
        case "cms": return cms(w[1], w[2], w[3]) ? "yes" : "no";
        case "link":
          certificate(w[1]).verify(certificate(w[2]).getPublicKey(), "BC");
          return "yes";
        default: return "unknown";
      }
    } catch (SignatureException | InvalidKeyException | CRLException | CertificateException refused) {
      return "no";
    } catch (Exception error) {
      return "error " + error.getClass().getSimpleName() + " " + error.getMessage();
    }
  }

  public static void main(String[] a) throws Exception {
    Security.addProvider(new BouncyCastleProvider());
    BufferedReader in = new BufferedReader(new InputStreamReader(System.in));
    PrintWriter out = new PrintWriter(new BufferedWriter(new OutputStreamWriter(System.out)));
    for (String line; (line = in.readLine()) != null;) out.println(answer(line.split(" ")));
    out.flush();
  }
}
